// Package normal brings what networks send into one form: plain text, whole links, one spelling of languages, times that can be. It must never
// know which network it is for.
//
// What is not obvious: everything here is total and idempotent. Whatever comes, the result is a valid field of a post, and bringing a result into the
// normal form again leaves it as it is; tests hold it to that.
package normal
