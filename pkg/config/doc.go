// Package config fills a configuration struct from a YAML file and from the environment, and reports everything wrong with them at once.
//
// A configuration is a struct that already holds its defaults. Fields carry two tags: `koanf:"snake_case"` names the key (a field without it is no part of
// the configuration) and `doc:"…"` says what it means, for [WriteYAML] and [WriteReference]. A field that is itself a struct is a section; its keys are
// joined by dots (kafka.brokers). The layers are: defaults, then the file, then the environment.
//
// A variable is the prefix and the key in capitals, with dots as underscores: OUTCRY_KAFKA_BROKERS. Keys hold underscores themselves, so variables are found
// among those of the known keys, never by replacing characters. A [Secret] can also be given as a path: OUTCRY_CLICKHOUSE_PASSWORD_FILE.
//
// It must never print a secret, not in errors either, and never look at the process's environment by itself. It is the only importer of koanf (layers), of
// its YAML reader (line numbers in errors need the parser's own tree) and of levenshtein (the name that was probably meant).
package config
