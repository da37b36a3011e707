// Package bus moves bytes through Kafka: topics, producing in order, consuming by partition. It is the only importer of kafka-go.
// It must never know what a message means.
//
// What is not obvious:
//
//   - A Producer keeps at most one request in flight for each partition and repeats it until the brokers acknowledge it or the context
//     ends. kafka-go's own Writer gives up after some attempts and sends what follows, which would let a watermark overtake the
//     records that it speaks for.
//   - A repeated request can have been written the first time as well: delivery is at least once, and every stage is idempotent.
//   - A Claim reads with kafka-go's Conn rather than its Reader, because a stage wants what one fetch brought as one batch, and wants
//     to know when there was nothing.
package bus
