// Package catalog knows the services that Outcry listens for: what they are called, which accounts speak for them, where they are
// and on whom they depend.
//
// The services are plain YAML files in data/, one file a category (or a category and a region), embedded in the program. A user adds
// services, or changes those that exist, with files of the same form:
//
//	category: messaging            # for all services of the file that do not state their own
//	services:
//	  - id: skype                  # stable; lower case
//	    name: Skype
//	    aliases: [スカイプ, скайп]
//	    hashtags: [skypeoutage]    # beyond name and aliases
//	    official: {twitter: [Skype, SkypeSupport]}
//	    web: https://www.skype.com
//	    status: https://support.skype.com/status
//	    providers: [azure]
//	  - id: zoom
//	    name: Zoom
//	    ambiguous: true            # the name is a word as well
//	    context: [meeting, call]   # words that make it the service
//	    not: [~ in, ~ lens]        # phrases that make it the word; ~ is the name
//	    aliases: [Zoom Meetings]   # always the service
//	    weak: [ズーム]             # further names that count only in context
//
// A later file that gives an id again changes the fields it states and leaves the others; its maps are merged by network.
//
// What is not obvious: official accounts are handles too, so the files list them once, under official. Names are compared folded
// (see package fold), so an alias that differs from the name in case, accents or width only is a fault. A name may be weak in at
// most one service and strong in none other.
//
// The package must never match text; package names does. It holds facts only: a handle or an address nobody is sure of stays out.
package catalog
