#include "config/templates.h"

#include <fmt/format.h>

#include <array>

#include "base/errors.h"

namespace docmill {
namespace {

struct Template {
  std::string_view name;
  std::string_view providers_and_models;
};

constexpr std::string_view kHead = R"(# docmill.toml, as `docmill init --provider {}` wrote it.
# `docmill check` says what is wrong with it; prices are USD per million tokens (2026-11-23).
# No key stands in this file, only where to find it.

)";

constexpr std::string_view kTail = R"(
# [worker]
# in_flight = 64         # requests open at once, over all models
# max_tries = 5          # per model of the chain, not counting waits for limits

# [caps]                 # USD
# batch = 25.00          # per batch, when --max-cost is not given
# confirm = 10.00        # a terminal is asked above this estimate
)";

constexpr std::array<Template, 7> kTemplates = {{
    {"openai", R"([providers.openai]
base_url = "https://api.openai.com/v1"
key_env = "OPENAI_API_KEY"       # the NAME of the variable; or key_file = "openai.key" (0600)
# requests_per_minute = 500      # as your account's limits page says
# in_flight = 100

[defaults]
chain = ["gpt-4.1-mini", "gpt-5.4-mini"]  # the first answers; the next takes over when it fails

[models."gpt-4.1-mini"]
provider = "openai"
input = 0.40
cached_input = 0.10
output = 1.60
context_tokens = 1047576
max_output_tokens = 32768
json = "schema"

[models."gpt-5.4-mini"]
provider = "openai"
input = 0.75
cached_input = 0.075
output = 4.50
context_tokens = 272000
max_output_tokens = 32768
max_tokens_field = "max_completion_tokens"  # it reasons, and takes no temperature
json = "schema"
)"},
    {"anthropic", R"([providers.anthropic]
dialect = "anthropic"
base_url = "https://api.anthropic.com/v1"
key_env = "ANTHROPIC_API_KEY"    # the NAME of the variable; or key_file = "anthropic.key" (0600)
# requests_per_minute = 50       # as your account's limits page says
# in_flight = 100

[defaults]
chain = ["claude-haiku-4.5", "claude-sonnet-5"]  # the next takes over when the first fails

[models."claude-haiku-4.5"]
provider = "anthropic"
name = "claude-haiku-4-5"
input = 1.00
cached_input = 0.10
cache_write_input = 1.25
output = 5.00
context_tokens = 200000
max_output_tokens = 64000

[models."claude-sonnet-5"]       # takes no temperature
provider = "anthropic"
input = 2.00
cached_input = 0.20
cache_write_input = 2.50
output = 10.00
context_tokens = 1000000
max_output_tokens = 64000
)"},
    {"deepseek", R"([providers.deepseek]
base_url = "https://api.deepseek.com"
key_env = "DEEPSEEK_API_KEY"     # the NAME of the variable; or key_file = "deepseek.key" (0600)
# in_flight = 100                # DeepSeek limits requests in flight, not a minute

[defaults]
chain = ["deepseek-flash", "deepseek-v4-pro"]  # the next takes over when the first fails

# DeepSeek bills by the hour. These are the peak prices (01:00-04:00 and 06:00-10:00 UTC, Monday to
# Friday); in other hours it bills half of what the report shows.
[models.deepseek-flash]
provider = "deepseek"
input = 0.30
cached_input = 0.006
output = 1.20
context_tokens = 131072
max_output_tokens = 8192

[models.deepseek-v4-pro]
provider = "deepseek"
input = 1.32
cached_input = 0.044
output = 3.96
context_tokens = 131072
max_output_tokens = 8192
)"},
    {"gemini", R"([providers.gemini]
base_url = "https://generativelanguage.googleapis.com/v1beta/openai"
key_env = "GEMINI_API_KEY"       # the NAME of the variable; or key_file = "gemini.key" (0600)
# requests_per_minute = 1000     # as your project's quota page says
# in_flight = 100

[defaults]
chain = ["gemini-2.5-flash-lite", "gemini-3.5-flash-lite"]  # the next takes over when one fails

[models."gemini-2.5-flash-lite"]
provider = "gemini"
input = 0.10
cached_input = 0.01
output = 0.40
context_tokens = 1048576
max_output_tokens = 65535
json = "schema"

[models."gemini-3.5-flash-lite"]
provider = "gemini"
input = 0.30
cached_input = 0.03
output = 2.50
context_tokens = 1048576
max_output_tokens = 65535
json = "schema"
)"},
    {"openrouter", R"([providers.openrouter]
base_url = "https://openrouter.ai/api/v1"
key_env = "OPENROUTER_API_KEY"   # the NAME of the variable; or key_file = "openrouter.key" (0600)
# in_flight = 100

[defaults]
chain = ["deepseek-v3.2", "gpt-4.1-mini"]  # the next takes over when the first fails

# OpenRouter picks among hosts of different price. Look up the price of the one you allow.
[models."deepseek-v3.2"]
provider = "openrouter"
name = "deepseek/deepseek-v3.2"
input = 0.28
output = 0.40
context_tokens = 131072
max_output_tokens = 8192

[models."gpt-4.1-mini"]
provider = "openrouter"
name = "openai/gpt-4.1-mini"
input = 0.40
cached_input = 0.10
output = 1.60
context_tokens = 1047576
max_output_tokens = 32768
json = "schema"
)"},
    {"ollama", R"([providers.ollama]
base_url = "http://localhost:11434/v1"
in_flight = 1                    # as OLLAMA_NUM_PARALLEL; more only wait inside Ollama
# deadline = "10m"               # raise it for long answers on a slow machine

[defaults]
chain = ["llama3.1"]

[models."llama3.1"]
provider = "ollama"
name = "llama3.1:8b"             # as `ollama list` shows it
input = 0                        # your own machine: no tokens are billed
output = 0
context_tokens = 8192            # as OLLAMA_CONTEXT_LENGTH or num_ctx: Ollama cuts what is longer
max_output_tokens = 2048
json = "schema"
)"},
    {"vllm", R"([providers.vllm]
base_url = "http://localhost:8000/v1"  # beyond this machine: https, or allow_http = true
# key_env = "VLLM_API_KEY"       # when the server was started with --api-key
in_flight = 64                   # vLLM batches by itself; raise it until tokens/s stops growing

[defaults]
chain = ["qwen3-8b"]

[models.qwen3-8b]
provider = "vllm"
name = "Qwen/Qwen3-8B"           # as --served-model-name, else the model's path
input = 0                        # your own machine: no tokens are billed
output = 0
context_tokens = 32768           # as --max-model-len
max_output_tokens = 8192
json = "schema"
)"},
}};

}  // namespace

std::vector<std::string> config_template_names() {
  std::vector<std::string> names;
  for (const Template& one : kTemplates) names.emplace_back(one.name);
  return names;
}

std::string config_template(std::string_view provider) {
  for (const Template& one : kTemplates) {
    if (one.name != provider) continue;
    return fmt::format(kHead, one.name) + std::string(one.providers_and_models) +
           std::string(kTail);
  }
  throw UsageError(fmt::format("there is no template for \"{}\"; there is {}", provider,
                               fmt::join(config_template_names(), ", ")));
}

}  // namespace docmill
