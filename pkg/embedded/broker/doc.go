// Package broker is the Kafka that answers when nobody has named another: one node in this process, on 127.0.0.1, made of
// franz-go's kfake. The services speak to it as to any Kafka, by address; production uses Apache Kafka.
//
// It must never listen elsewhere than on loopback, make a topic because somebody asked for it, or know what a record means.
//
// # What a kill leaves
//
// With a data folder, a produce is answered after write(2), a commit and a new topic likewise. So when the process is killed
// (kill -9, a panic, no memory), whatever was acknowledged is there at the next start. A batch that was being written is
// half there, unacknowledged: the start finds its checksum wrong, cuts it off, logs a warning and goes on. The groups' log, in which
// commits are, is cut at its first wrong entry likewise. When the machine loses power, what the operating system had not
// yet written is lost, which is Kafka's own default; SyncWrites waits for the disk at every write instead.
//
// What an idempotent or transactional producer's sequence numbers were is written only at Close: after a kill such a producer has
// to start afresh. kafka-go is neither.
//
// Nothing but this package may open the folder meanwhile; a lock sees to it.
//
// # Retention
//
// kfake's own cleaner is turned off, whatever a topic's configuration says, because it does not suit a log that has to survive a kill:
//
//   - Compaction deletes a partition's files and then writes the new ones. A kill between the two loses the partition. And with it comes retention.
//   - Retention by time goes by the records' timestamps. Where these are event time, a replay of last year is gone at once.
//   - A partition that retention has emptied begins at offset 0 again after a restart, while groups still wait
//     beyond: they would skip what comes.
//
// Instead, what has been kept for longer than its topic's retention.ms goes, once every group that has ever committed there has read it; where none
// has, as with dead letters, it goes all the same. And a partition beyond Config.RetentionBytes loses what every group that has ever committed there has read. Its last record
// always stays. What somebody has yet to read stays too, up to 32 times that size; beyond it the older half
// goes, with a warning, since a disk is finite: that is for dead letters, which nobody reads, and groups that never came
// back. A compacted topic is not trimmed: its state must stay whole. Files go when all of their records have been deleted, so a partition may stay a segment (a quarter of
// RetentionBytes) above its bound: until that segment has filled, what is deleted cannot be read through Kafka any more but stands in the file.
//
// # Compaction
//
// Of a topic whose cleanup.policy has compact in it, a record is gone, from the files too, at the latest max.compaction.lag.ms (twelve hours where the
// topic does not say) after the next one of its key was written; a broker that was not running then makes up for it when it starts. Unlike Kafka's,
// this broker does not except what it is still writing to. What stays keeps its offset; the log's first offset and its last record stay; a tombstone
// goes when its timestamp is delete.retention.ms old (a day). As with Kafka, nobody is waited for, and who reads from an offset that is gone gets
// the next one there is. Partitions with transactions are not compacted, and tell so in a warning.
//
// It is done a segment at a time: a segment is written anew beside itself, synced, and renamed to its own place, or removed where nothing stays of
// it. Since of two values of a key the log may hold both or the later one, what a kill leaves between two segments is a good log, and there
// is nothing to recover. A disk that fills up leaves the log as it was.
//
// kfake cannot be told that its files have changed. All that need not wait is therefore done beside it; then it is closed, what it had been writing to
// is compacted, the files take their places, and it is opened again behind the same listener. Clients lose their connections, as with any broker that
// restarts, and groups join anew. That is so three quarters of max.compaction.lag.ms after a partition has grown, if there is anything in it
// to take out: every nine hours in Outcry. Beside it a pass looks at file sizes only, and a partition in which nothing is superseded is read but not
// written. 100 MB of one partition took half a second, of which the broker was away for 0.1 to 0.2; each further 100 MB of log, of whichever
// topic, are 0.2 more. It takes memory for one segment and for the keys, and then
// as a start does; what was compacted is read as after a kill.
//
// Without a data folder nothing is compacted, since there is nothing to open again: Outcry's commands all have one.
//
// Committed offsets do not expire: Kafka's seven days would make a pipeline that rested for a week begin anew.
//
// # Memory
//
// With a data folder the records are on the disk only; in memory is some 80 bytes a batch. A start reads the log once: after Close a segment of
// each partition at a time, after a kill all of it, in memory, until it is indexed; what was taken is given back to the operating
// system before Start returns. RetentionBytes times the number of partitions is therefore a fair bound for the moment of such a
// start. Without a data folder all records are in memory, and the bound is one for memory.
package broker
