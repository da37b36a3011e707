// Package broker is the Kafka that answers when nobody has named another: one node in this process, on loopback.
package broker
