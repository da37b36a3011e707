// Package e2e runs the built command as people do: whole processes, real engines, real signals.
//
// The suite runs on the embedded broker, or on the Kafka brokers that E2E_KAFKA_BROKERS names (host:port, comma-separated). The tests of
// real posts read them from E2E_DATA, or from ../shared/data beside the repository, and fail where they are absent: the posts are other
// people's and are not in the repository.
package e2e
