#include "queue/job_queue.h"

#include "base/errors.h"
#include "base/sha256.h"
#include "tests/catch.h"
#include "tests/world.h"

using namespace docmill;

namespace {

class QueueTest : public WorkerTest {
 public:
  QueueTest() : db(store, Access::read_write, commit), queue(db, clock, Policy{}) {
    id = open("b");
    Transaction transaction(db);
    worker = queue.ledger().start_worker(1, "test", clock.now);
    price =
        queue.prices().record({{}, "p", "m", clock.now, "config", "test", ModelPrice{2, 1, 2, 4}});
    transaction.commit();
  }

  BatchId open(const std::string& name) {
    Batch wanted;
    wanted.name = name;
    wanted.task = "summarise";
    wanted.tenant = "default";
    wanted.spec = "{}";
    return queue.open_batch_in_transaction(wanted).id;
  }

  Added add(const std::string& key, const std::string& text) {
    NewJob job;
    job.item_key = key;
    job.source = "test";
    job.text = text;
    job.content_hash = sha256_of_parts({text});
    return queue.add_in_transaction(id, std::vector{job}).front();
  }

  ClaimTerms terms(int position = 0) {
    ClaimTerms t;
    t.position = position;
    t.onward.chain_length = 2;
    t.worker = worker;
    t.route = "default";
    t.provider = "p";
    t.model = t.model_asked = position == 0 ? "first" : "second";
    t.request_bytes = 100;
    t.max_output_tokens = 50;
    t.price = price;
    t.ceiling_pusd = ceiling_pusd(100, 50, price.price);
    return t;
  }

  std::optional<Claim> claim(int position = 0) {
    Transaction transaction(db);
    const auto jobs = queue.jobs().ready(id, 0, position, 1);
    std::optional<Claim> claimed;
    if (!jobs.empty()) claimed = queue.claim(jobs.front(), terms(position));
    transaction.commit();
    return claimed;
  }

  Settled settle(const Claim& claimed, Ending ending, const std::string& basis,
                 std::optional<std::int64_t> cost_pusd) {
    Transaction transaction(db);
    Outcome outcome;
    outcome.ending = ending;
    outcome.may_be_billed = basis == "unknown";
    Settlement settlement;
    settlement.outcome = to_string(ending);
    settlement.cost_basis = basis;
    settlement.cost_pusd = cost_pusd;
    if (basis == "usage") {
      settlement.usage = Usage{1, 0, 0, 1, 0};
      settlement.price = price.id;
    }
    std::optional<Answer> answer;
    if (ending == Ending::answered) {
      answer = Answer{"an answer", "stop"};
    } else {
      outcome.error_class = to_string(ending);
    }
    const Settled settled = queue.settle(claimed, outcome, settlement, answer, false, 0.5);
    queue.finish_ended();
    transaction.commit();
    return settled;
  }

  SqliteCommit commit;
  Database db;
  JobQueue queue;
  BatchId id;
  WorkerId worker;
  PriceRow price;
};

}  // namespace

TEST_CASE_METHOD(QueueTest, "submitting again adds what is new, and changes what changed") {
  CHECK(add("a", "one") == Added::fresh);
  CHECK(add("a", "one") == Added::unchanged);
  CHECK(add("a", "one, changed") == Added::changed);
  CHECK(counts().total() == 1);
  CHECK(counts().ready == 1);
  // Back to what it was: the first job speaks for the document again.
  CHECK(add("a", "one") == Added::changed);
  CHECK(counts().total() == 1);
  CHECK(counts().ready == 1);
}

TEST_CASE_METHOD(QueueTest, "a changed document keeps its old result until the new one is there") {
  add("a", "old");
  settle(*claim(), Ending::answered, "usage", 6);
  CHECK(output("a") == "an answer");
  add("a", "new");
  CHECK(counts().ready == 1);
  CHECK(counts().done == 0);
  CHECK(output("a") == "an answer");
  CHECK(state("a") == "done");
  settle(*claim(), Ending::refused, "zero", 0);  // falls back to the second model
  settle(*claim(1), Ending::refused, "zero", 0);
  CHECK(counts().failed == 1);
  CHECK(output("a") == "an answer");
}

TEST_CASE_METHOD(QueueTest, "a batch is finished when it is sealed and nothing of it is left") {
  add("a", "one");
  settle(*claim(), Ending::answered, "usage", 6);
  CHECK_FALSE(batch().finished_at_ms);
  queue.seal_in_transaction(id);
  CHECK(batch().finished_at_ms);
  add("b", "two");
  CHECK_FALSE(batch().finished_at_ms);
}

TEST_CASE_METHOD(QueueTest, "a superseded attempt is paid for but its answer is dropped") {
  add("a", "hello");
  const Claim lost = *claim();
  CHECK(queue.recover_in_transaction({}).unknown == 1);
  const Claim held = *claim();
  CHECK(held.attempt != lost.attempt);

  CHECK_FALSE(settle(lost, Ending::answered, "usage", 100).changed_job);
  CHECK(settle(held, Ending::answered, "usage", 6).changed_job);

  CHECK(state("a") == "done");
  CHECK(batch().spent_pusd == 106);
  CHECK(batch().reserved_pusd == 0);
  // Settled once: a third word on it changes nothing.
  settle(lost, Ending::answered, "usage", 100);
  CHECK(batch().spent_pusd == 106);
}

TEST_CASE_METHOD(QueueTest, "the ceiling is reserved by the claim, and given back by the answer") {
  add("a", "hello");
  const Claim claimed = *claim();
  CHECK(batch().reserved_pusd == 100 * 2 + 50 * 4);
  settle(claimed, Ending::answered, "usage", 6);
  CHECK(batch().reserved_pusd == 0);
  CHECK(batch().spent_pusd == 6);
}

TEST_CASE_METHOD(QueueTest, "an unknown outcome keeps its ceiling until somebody knows") {
  add("a", "hello");
  const Claim claimed = *claim();
  settle(claimed, Ending::cut, "unknown", std::nullopt);
  CHECK(batch().reserved_pusd == 400);
  Transaction transaction(db);
  Word word;
  word.cost_basis = "manual";
  word.cost_pusd = 7;
  CHECK(queue.resolve(claimed.attempt, id, word));
  CHECK_FALSE(queue.resolve(claimed.attempt, id, word));
  transaction.commit();
  CHECK(batch().reserved_pusd == 0);
  CHECK(batch().spent_pusd == 7);
}

TEST_CASE_METHOD(QueueTest, "a claim that would pass the cap is refused and leaves no trace") {
  {
    Transaction transaction(db);
    queue.jobs().set_cap(id, 799);
    transaction.commit();
  }
  add("a", "one");
  add("b", "two");
  REQUIRE(claim());
  CHECK_FALSE(claim());
  CHECK(batch().reserved_pusd == 400);
  CHECK(attempts().size() == 1);
  CHECK(counts().ready == 1);
}

TEST_CASE_METHOD(QueueTest,
                 "a cap holds for the claims of one transaction, and all are seen in it") {
  add("a", "one");
  add("b", "two");
  add("c", "three");
  Transaction transaction(db);
  queue.jobs().set_cap(id, 800);
  const auto jobs = queue.jobs().ready(id, 0, 0, 3);
  REQUIRE(queue.claim(jobs[0], terms()));
  CHECK(queue.jobs().batch(id).reserved_pusd == 400);
  REQUIRE(queue.claim(jobs[1], terms()));
  CHECK_FALSE(queue.claim(jobs[2], terms()));
  CHECK(queue.jobs().batch(id).reserved_pusd == 800);
  queue.jobs().set_cap(id, 1200);
  CHECK(queue.claim(jobs[2], terms()));
  transaction.commit();
  CHECK(batch().reserved_pusd == 1200);
}

TEST_CASE_METHOD(QueueTest, "what a transaction reserved goes with it when it is rolled back") {
  add("a", "one");
  {
    Transaction transaction(db);
    REQUIRE(queue.claim(queue.jobs().ready(id, 0, 0, 1).front(), terms()));
  }
  CHECK(batch().reserved_pusd == 0);
  REQUIRE(claim());
  CHECK(batch().reserved_pusd == 400);
}

TEST_CASE_METHOD(QueueTest, "a cost above its ceiling holds a capped batch, as it is recorded") {
  {
    Transaction transaction(db);
    queue.jobs().set_cap(id, 1000);
    transaction.commit();
  }
  add("a", "one");
  Claim claimed = *claim();
  claimed.is_capped = true;
  CHECK(settle(claimed, Ending::answered, "usage", 401).passed_ceiling);
  CHECK(batch().spent_pusd == 401);
  CHECK(batch().held_reason);
}

TEST_CASE_METHOD(QueueTest, "cancel keeps the answer that is in flight, and asks for no more") {
  add("a", "one");
  add("b", "two");
  const Claim flying = *claim();
  CHECK(queue.cancel_in_transaction(id, false) == 1);
  CHECK_FALSE(batch().finished_at_ms);
  settle(flying, Ending::answered, "usage", 6);
  CHECK(counts().done == 1);
  CHECK(counts().cancelled == 1);
  CHECK(batch().finished_at_ms);
}

// The submit's next thousand once took the cancellation back, without a word.
TEST_CASE_METHOD(QueueTest, "what is cancelled while its submit runs stays cancelled") {
  add("a", "one");
  queue.cancel_in_transaction(id, false);
  CHECK_THROWS_AS(add("b", "two"), UsageError);
  CHECK(batch().cancelled_at_ms);
  CHECK(counts().total() == 1);
  CHECK(counts().cancelled == 1);
}

TEST_CASE_METHOD(QueueTest, "after a crash a cancelled batch's running jobs are cancelled, too") {
  add("a", "one");
  claim();
  queue.cancel_in_transaction(id, false);
  queue.recover_in_transaction({});
  CHECK(counts().cancelled == 1);
  CHECK(batch().finished_at_ms);
}

TEST_CASE_METHOD(QueueTest, "retry starts failed jobs anew, with all their tries and requests") {
  add("a", "one");
  settle(*claim(), Ending::bad_request, "zero", 0);
  CHECK(counts().failed == 1);
  CHECK(queue.retry(id, "", "other", std::nullopt) == 0);
  CHECK(queue.retry(id, "", "bad_request", std::nullopt) == 1);
  Transaction transaction(db);
  const Job job = queue.jobs().ready(id, 0, 0, 1).at(0);
  CHECK(job.tries == 0);
  CHECK(job.requests == 1);
  CHECK(job.requests_before == 1);
}

TEST_CASE_METHOD(QueueTest, "a wait that lies too far ahead is cut at the start") {
  add("a", "one");
  settle(*claim(), Ending::overloaded, "zero", 0);
  CHECK(counts().waiting == 1);
  clock.now -= 86'400'000;  // the clock was wrong when it was written, or is now
  queue.recover_in_transaction({});
  CHECK(*queue.jobs().next_due("") <= clock.now + 900'000);
}

TEST_CASE_METHOD(QueueTest, "a batch that a submit adds to does not end before it is sealed anew") {
  add("a", "one");
  queue.seal_in_transaction(id);
  const auto end = [&] {
    settle(*claim(), Ending::bad_request, "zero", 0);
    Transaction transaction(db);
    queue.finish_ended();
    transaction.commit();
    return batch().finished_at_ms.has_value();
  };
  CHECK(end());
  add("b", "two");
  CHECK_FALSE(end());
  queue.seal_in_transaction(id);
  CHECK(batch().finished_at_ms);
  CHECK(add("b", "two") == Added::unchanged);
  CHECK(batch().finished_at_ms);
}

TEST_CASE_METHOD(QueueTest, "a batch that nothing came into is dropped, another is not") {
  queue.drop_empty_in_transaction(id);
  CHECK_FALSE(queue.jobs().batch("b"));
  CHECK_THROWS_AS(add("a", "one"), UsageError);  // another submit that was reading meanwhile
  id = open("c");
  add("a", "one");
  queue.drop_empty_in_transaction(id);
  CHECK(queue.jobs().batch("c"));
}

TEST_CASE_METHOD(QueueTest, "what would take over a result that was pruned meanwhile is queued") {
  add("a", "one");
  NewJob job;
  job.item_key = "b";
  job.text = "two";
  job.content_hash = sha256_of_parts({"two"});
  job.reuses = JobId{1};  // it has no result
  CHECK(queue.add_in_transaction(id, std::vector{job}).front() == Added::fresh);
  CHECK(counts().ready == 2);
}

TEST_CASE_METHOD(QueueTest, "a document may be called as a piece of another is") {
  add("a", "one and two");
  {
    Transaction transaction(db);
    const Job job = queue.jobs().ready(id, 0, 0, 1).at(0);
    REQUIRE(queue.cut(job, std::vector<NewPiece>{{"one", " and ", 0}, {"two", "", 8}}));
    transaction.commit();
  }
  SQLite::Statement key(db.connection(), "SELECT item_key FROM job WHERE parent_id IS NOT NULL");
  REQUIRE(key.executeStep());
  CHECK(add(key.getColumn(0).getString(), "three") == Added::fresh);
  SQLite::Statement left(db.connection(),
                         "SELECT count(*) FROM job WHERE parent_id IS NOT NULL "
                         "AND state = 'ready' AND superseded_by IS NULL");
  REQUIRE(left.executeStep());
  CHECK(left.getColumn(0).getInt() == 2);
}

TEST_CASE_METHOD(QueueTest, "ready jobs come by priority, then in order of submission") {
  for (const auto& [key, priority] : {std::pair{"low", -1}, std::pair{"first", 0},
                                      std::pair{"second", 0}, std::pair{"high", 5}}) {
    NewJob job;
    job.item_key = key;
    job.text = key;
    job.content_hash = sha256_of_parts({key});
    job.priority = priority;
    queue.add_in_transaction(id, std::vector{job});
  }
  std::string order;
  for (const Job& job : queue.jobs().ready(id, 0, 0, 10)) {
    order += queue.jobs().texts().text(job.input_id).value() + " ";
  }
  CHECK(order == "high first second low ");
}

TEST_CASE_METHOD(QueueTest, "the schema refuses a row that breaks what its state promises") {
  add("a", "one");
  Transaction transaction(db);
  for (const char* broken :
       {"UPDATE job SET state = 'running'", "UPDATE job SET state = 'done'",
        "UPDATE job SET state = 'waiting'", "UPDATE job SET state = 'failed', finished_at = 1",
        "UPDATE job SET state = 'nonsense'", "UPDATE job SET attempt_id = 1"}) {
    INFO(broken);
    CHECK_THROWS(db.connection().exec(broken));
  }
}
