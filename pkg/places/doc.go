// Package places finds countries and large cities that a text names: "internet down in Austin again" speaks of us/austin. An outage of a
// network is often one of a region, and where it is stands in the posts.
//
// The gazetteer (places.txt) is small on purpose: about 230 countries and 200 cities with the names that people there use. A name that is
// also a word, such as Turkey or Cork, counts behind a preposition only. It must never do I/O or guess a place from a language.
package places
