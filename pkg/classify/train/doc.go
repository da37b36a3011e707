// Command train builds the classifier's weights, and measures what they reach on posts that they have not seen.
//
//	go run ./classify/train --data DIR [--out FILE] [--evaluate]
//
// DIR holds the labelled and unlabelled posts of Outcry's research folder; they are other people's and stay outside the repository.
// The posts under posts/ and the labels in labels.jsonl are the project's own work; the labels name posts of DIR by id and hold no text.
// The same inputs give the same bytes.
package main
