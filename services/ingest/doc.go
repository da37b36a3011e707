// Package ingest is the first stage: it takes the events of sources and writes them to posts.v1, in one normal form, with authors as
// keyed hashes. It must never decide what a post means.
//
// What is not obvious: time travels with the data. Whenever event time passes a step of the decision grid, a clock record goes to every
// partition, because a partition that no post falls into would otherwise hold back the decisions of all. A live source's clock is the
// wall clock, a recording's is the time of its own posts.
package ingest
