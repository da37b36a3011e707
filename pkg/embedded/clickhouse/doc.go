// Package clickhouse is the ClickHouse that answers when nobody has named another: ClickHouse's own engine in a child process, which
// speaks the native protocol and HTTP on 127.0.0.1. The services speak to it as to any ClickHouse, by address; production
// uses a server or a cluster.
//
// It must never be what production depends on, listen elsewhere than on loopback, or outlive its parent.
//
// # How it runs
//
// The engine is libchdb.so from the npm package that belongs to the platform. The child is the same executable, started again with an
// argv[0] of its own; RunIfChild, first thing in main, sees that and calls the library's chdb_query_cmdline with clickhouse-local's
// arguments. Its queries open the two listeners, and the last one reads standard input: the server lives exactly as long as the
// parent holds that open. A child, not a thread, since the engine may use much memory and may crash, and takes over signals.
//
// Standard input is a terminal, where the machine has any: at a pipe, this release of the engine ends at the first client that breaks off in
// the middle of something.
//
// Three things end it with its parent, however that ends: standard input ends; a second pipe ends, after which the child gives the
// engine ten seconds and exits; and on Linux the kernel kills it at once. Ctrl-C does not reach it, since it is in a process
// group of its own: the parent closes it when its own work is done.
//
// An engine that dies is started again on the same ports, password and data, with growing pauses. Six quick deaths
// in a row end that: Done is closed and Err quotes what the log says of it.
//
// An insert that was answered is in the operating system's hands: kill -9 of the engine or its parent loses nothing of it, a loss of power
// may lose the last seconds (ClickHouse's own default; its setting fsync_after_insert is the remedy).
//
// Close takes 0.1 s when no client is connected and 5 s when one is, which the engine waits for: close clients first.
//
// # Who may ask
//
// Loopback is shared with everybody on the machine. Clients are the user "outcry", with a password that is random at every
// Start unless configured; in the data folder is only its hash. The user "default", whom clickhouse-local needs,
// cannot have one: it may read and write nothing. What is left to a stranger on the same machine is to stop the
// listening (SYSTEM STOP LISTEN belongs to the right that opens it) and to waste time; who fears that runs a server.
//
// # The data folder
//
//	data/            tables; the engine locks data/status itself
//	clickhouse.log   warnings and errors, 10 MB and one older file at most; errors name it
//	clickhouse.xml   written at every start
//	users.xml        written at every start
//	outcry.lock      held by the parent, so that a second start says so instead of failing in the engine
//
// # Fetching the library
//
// It is fetched once with npm pack, by name: npm knows the person's registry, proxy and credentials. npm works in a folder and with a
// cache of its own, without scripts, and no project's .npmrc is heeded. The package's SHA-512 is compared to a pin in the source
// before anything in it is looked at; one file of exactly known size is unpacked next to its final place and renamed
// into it. A lock has processes that start at once wait for one fetch; what a killed one left is removed by the next.
// Platforms whose pin is missing ask for a path instead: what is fetched is run, so it is not fetched unchecked.
//
// # Size
//
// Measured on two cores: 0.2 s to start, 1 s with the library not in the page cache; 220 MB resident, of which 46 MB are its own and
// the rest is the library's pages, 400 MB after a million inserted rows. The settings bound caches (5 GB each by default)
// and all queries together (Config.MaxMemoryBytes). clickhouse-local has none of the system log tables that grow on a server.
package clickhouse
