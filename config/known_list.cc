// The list itself: docmill.toml for every vendor. Prices per million tokens as the vendors' price
// pages and LiteLLM's map gave them on the day below.

#include "config/known_list.h"

namespace docmill {

const char* const kKnownListDay = "2026-11-23";

const char* const kKnownList = R"toml(
[providers.openai]
base_url = "https://api.openai.com/v1"
key_env = "OPENAI_API_KEY"

[providers.anthropic]
dialect = "anthropic"
base_url = "https://api.anthropic.com/v1"
key_env = "ANTHROPIC_API_KEY"

[providers.deepseek]
base_url = "https://api.deepseek.com"
key_env = "DEEPSEEK_API_KEY"

[providers.gemini]
base_url = "https://generativelanguage.googleapis.com/v1beta/openai"
key_env = "GEMINI_API_KEY"

[providers.mistral]
base_url = "https://api.mistral.ai/v1"
key_env = "MISTRAL_API_KEY"

[providers.groq]
base_url = "https://api.groq.com/openai/v1"
key_env = "GROQ_API_KEY"

[providers.xai]
base_url = "https://api.x.ai/v1"
key_env = "XAI_API_KEY"

[models."openai/gpt-4.1"]
provider = "openai"
name = "gpt-4.1"
input = 2.00
cached_input = 0.50
output = 8.00
price_variants = [
  { tier = "batch", input = 1.00, cached_input = 0.50, output = 4.00 },
  { tier = "priority", input = 3.50, cached_input = 0.875, output = 14.00 }]
context_tokens = 1047576
max_output_tokens = 32768
json = "schema"

[models."openai/gpt-4.1-mini"]
provider = "openai"
name = "gpt-4.1-mini"
input = 0.40
cached_input = 0.10
output = 1.60
price_variants = [
  { tier = "batch", input = 0.20, cached_input = 0.10, output = 0.80 },
  { tier = "priority", input = 0.70, cached_input = 0.175, output = 2.80 }]
context_tokens = 1047576
max_output_tokens = 32768
json = "schema"

[models."openai/gpt-4o"]
provider = "openai"
name = "gpt-4o"
input = 2.50
cached_input = 1.25
output = 10.00
price_variants = [
  { tier = "batch", input = 1.25, cached_input = 1.25, output = 5.00 },
  { tier = "priority", input = 4.25, cached_input = 2.125, output = 17.00 }]
context_tokens = 128000
max_output_tokens = 16384
json = "schema"

[models."openai/gpt-4o-mini"]
provider = "openai"
name = "gpt-4o-mini"
input = 0.15
cached_input = 0.075
output = 0.60
price_variants = [
  { tier = "batch", input = 0.075, cached_input = 0.075, output = 0.30 },
  { tier = "priority", input = 0.25, cached_input = 0.125, output = 1.00 }]
context_tokens = 128000
max_output_tokens = 16384
json = "schema"

[models."openai/gpt-5"]
provider = "openai"
name = "gpt-5"
input = 1.25
cached_input = 0.125
output = 10.00
price_variants = [
  { tier = "flex", input = 0.625, cached_input = 0.0625, output = 5.00 },
  { tier = "priority", input = 2.50, cached_input = 0.25, output = 20.00 }]
context_tokens = 272000
max_output_tokens = 128000
json = "schema"
max_tokens_field = "max_completion_tokens"

[models."openai/gpt-5-mini"]
provider = "openai"
name = "gpt-5-mini"
input = 0.25
cached_input = 0.025
output = 2.00
price_variants = [
  { tier = "flex", input = 0.125, cached_input = 0.0125, output = 1.00 },
  { tier = "priority", input = 0.45, cached_input = 0.045, output = 3.60 }]
context_tokens = 272000
max_output_tokens = 128000
json = "schema"
max_tokens_field = "max_completion_tokens"

[models."openai/gpt-5-nano"]
provider = "openai"
name = "gpt-5-nano"
input = 0.05
cached_input = 0.005
output = 0.40
price_variants = [
  { tier = "flex", input = 0.025, cached_input = 0.0025, output = 0.20 }]
context_tokens = 272000
max_output_tokens = 128000
json = "schema"
max_tokens_field = "max_completion_tokens"

[models."openai/gpt-5.2"]
provider = "openai"
name = "gpt-5.2"
input = 1.75
cached_input = 0.175
output = 14.00
price_variants = [
  { tier = "priority", input = 3.50, cached_input = 0.35, output = 28.00 }]
context_tokens = 272000
max_output_tokens = 128000
json = "schema"
max_tokens_field = "max_completion_tokens"

[models."openai/gpt-5.4"]
provider = "openai"
name = "gpt-5.4"
input = 2.50
cached_input = 0.25
output = 15.00
price_variants = [
  { above_tokens = 272000, input = 5.00, cached_input = 0.50, output = 22.50 },
  { tier = "flex", input = 1.25, cached_input = 0.13, output = 7.50 },
  { tier = "priority", input = 5.00, cached_input = 0.50, output = 30.00 }]
context_tokens = 1050000
max_output_tokens = 128000
json = "schema"
max_tokens_field = "max_completion_tokens"

[models."openai/gpt-5.4-mini"]
provider = "openai"
name = "gpt-5.4-mini"
input = 0.75
cached_input = 0.075
output = 4.50
price_variants = [
  { tier = "flex", input = 0.375, cached_input = 0.0375, output = 2.25 },
  { tier = "priority", input = 1.50, cached_input = 0.15, output = 9.00 }]
context_tokens = 272000
max_output_tokens = 128000
json = "schema"
max_tokens_field = "max_completion_tokens"

[models."anthropic/claude-haiku-4-5"]
provider = "anthropic"
name = "claude-haiku-4-5"
input = 1.00
cached_input = 0.10
cache_write_input = 1.25
cache_write_1h_input = 2.00
output = 5.00
context_tokens = 200000
max_output_tokens = 64000

[models."anthropic/claude-sonnet-4-5"]
provider = "anthropic"
name = "claude-sonnet-4-5"
input = 3.00
cached_input = 0.30
cache_write_input = 3.75
cache_write_1h_input = 6.00
output = 15.00
price_variants = [
  { above_tokens = 200000, input = 6, cached_input = 0.6, output = 22.5, cache_write_input = 7.5 }]
context_tokens = 200000
max_output_tokens = 64000

[models."anthropic/claude-sonnet-5"]
provider = "anthropic"
name = "claude-sonnet-5"
input = 2.00
cached_input = 0.20
cache_write_input = 2.50
cache_write_1h_input = 4.00
output = 10.00
context_tokens = 1000000
max_output_tokens = 128000

[models."anthropic/claude-opus-4-7"]
provider = "anthropic"
name = "claude-opus-4-7"
input = 5.00
cached_input = 0.50
cache_write_input = 6.25
cache_write_1h_input = 10.00
output = 25.00
context_tokens = 1000000
max_output_tokens = 128000

[models."deepseek/deepseek-flash"]
provider = "deepseek"
name = "deepseek-flash"
input = 0.15
cached_input = 0.003
output = 0.60
price_variants = [
  { hours = "Mon-Fri 01:00-04:00, 06:00-10:00", input = 0.30, cached_input = 0.006, output = 1.20 }]
context_tokens = 131072
max_output_tokens = 8192

[models."deepseek/deepseek-v4-pro"]
provider = "deepseek"
name = "deepseek-v4-pro"
input = 0.66
cached_input = 0.022
output = 1.98
price_variants = [
  { hours = "Mon-Fri 01:00-04:00, 06:00-10:00", input = 1.32, cached_input = 0.044, output = 3.96 }]
context_tokens = 131072
max_output_tokens = 8192

[models."gemini/gemini-2.5-flash-lite"]
provider = "gemini"
name = "gemini-2.5-flash-lite"
input = 0.10
cached_input = 0.01
output = 0.40
context_tokens = 1048576
max_output_tokens = 65535

[models."gemini/gemini-2.5-flash"]
provider = "gemini"
name = "gemini-2.5-flash"
input = 0.30
cached_input = 0.03
output = 2.50
context_tokens = 1048576
max_output_tokens = 65535

[models."gemini/gemini-2.5-pro"]
provider = "gemini"
name = "gemini-2.5-pro"
input = 1.25
cached_input = 0.125
output = 10.00
price_variants = [
  { above_tokens = 200000, input = 2.50, cached_input = 0.25, output = 15.00 }]
context_tokens = 1048576
max_output_tokens = 65535

[models."gemini/gemini-3.5-flash-lite"]
provider = "gemini"
name = "gemini-3.5-flash-lite"
input = 0.30
cached_input = 0.03
output = 2.50
price_variants = [
  { tier = "flex", input = 0.15, cached_input = 0.02, output = 1.25 },
  { tier = "priority", input = 0.54, cached_input = 0.05, output = 4.50 }]
context_tokens = 1048576
max_output_tokens = 65536

[models."mistral/mistral-large-latest"]
provider = "mistral"
name = "mistral-large-latest"
input = 0.50
output = 1.50
context_tokens = 262144
max_output_tokens = 32768

[models."mistral/mistral-small-latest"]
provider = "mistral"
name = "mistral-small-latest"
input = 0.06
output = 0.18
context_tokens = 131072
max_output_tokens = 32768

[models."groq/openai/gpt-oss-120b"]
provider = "groq"
name = "openai/gpt-oss-120b"
input = 0.15
cached_input = 0.075
output = 0.60
context_tokens = 131072
max_output_tokens = 32766

[models."groq/openai/gpt-oss-20b"]
provider = "groq"
name = "openai/gpt-oss-20b"
input = 0.075
cached_input = 0.0375
output = 0.30
context_tokens = 131072
max_output_tokens = 32768

[models."groq/llama-3.3-70b-versatile"]
provider = "groq"
name = "llama-3.3-70b-versatile"
input = 0.59
output = 0.79
context_tokens = 128000
max_output_tokens = 32768

[models."xai/grok-4"]
provider = "xai"
name = "grok-4"
input = 3.00
output = 15.00
context_tokens = 256000
max_output_tokens = 64000
)toml";

}  // namespace docmill
