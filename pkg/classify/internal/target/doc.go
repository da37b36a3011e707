// Package target finds the services that a post may be about, with what the model needs to know of each: the bridge between package
// names, the catalog and package feature, used in the same way when training and when classifying.
//
// Not obvious: "internet" stands for an unnamed connection. Where a provider is named in the same post it is the provider that is
// meant, so the general word is then read as a plain word.
package target
