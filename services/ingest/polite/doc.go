// Package polite keeps connectors well-behaved on networks that are not: a User-Agent on every request and handshake, silence that ends a
// connection, lines, frames and bodies that end where their limit is, and waits before the next try that follow the vendor's rules. It is
// the only importer of the WebSocket library. It must never know a network, or decide what an event means.
//
// What is not obvious:
//
//   - Waiting is the stage's: a connector returns the error, and what the error says decides how long. Jitter only ever lengthens a wait, since
//     rules say how soon one may come back.
//   - The back-off begins anew after a connection has held for a minute, not after one was made: a server that answers 200 and hangs up
//     would otherwise be asked without a pause.
//   - A frame beyond its limit is read past and reported, and the connection goes on. Giving the connection up instead would meet the
//     same frame again after every resume.
package polite
