#include "worker/transport.h"

#include <utility>

#include "worker/keys.h"

namespace docmill {

Received read_reply(const HttpRequest& request, HttpReply reply, const Secret& key) {
  hide_key(key, reply);
  Received received{request.attempt, std::move(reply), {}};
  DecodedReply& decoded = received.decoded;
  decoded = decode_reply(received.reply, *request.provider);
  // Escapes could have hidden it until now.
  hide_key(key, true, decoded.text);
  for (std::string* said :
       {&decoded.outcome.error_message, &decoded.finish_reason, &decoded.model_returned,
        &decoded.request_id, &decoded.usage_json, &decoded.service_tier}) {
    hide_key(key, false, *said);
  }
  if (request.keeps_body) {
    hide_key(key, true, received.reply.body);
    hide_key_in_json(key, received.reply.body);
  } else {
    std::string().swap(received.reply.body);
    // Without usage its length is still asked for.
    if (received.reply.streamed && decoded.usage) {
      std::string().swap(received.reply.streamed->text);
    }
  }
  return received;
}

}  // namespace docmill
