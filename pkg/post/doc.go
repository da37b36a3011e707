// Package post is the normal form of posts as JSON lines, the format in which people hand posts to Outcry and get them from it.
// It must never know a network: connectors turn their own formats into Posts.
package post
