package catalog

// Service is one service that posts can be about.
type Service struct {
	// ID is stable and made of a-z, 0-9 and "-".
	ID string `yaml:"id"`
	// Name is what its operator calls it.
	Name string `yaml:"name"`
	// Aliases are other names that people use: short forms, frequent misspellings, names in other scripts. They always mean the service.
	Aliases []string `yaml:"aliases"`
	// Weak are aliases that count in a fitting context only, such as "X" for twitter.
	Weak []string `yaml:"weak"`
	// Handles are accounts about the service by network ("twitter", "bluesky", "mastodon"), without "@"; they include Official.
	Handles map[string][]string `yaml:"handles"`
	// Hashtags beyond those that names and aliases make by themselves, without "#".
	Hashtags []string `yaml:"hashtags"`
	// Official are the accounts whose posts are the operator's word, support accounts included.
	Official map[string][]string `yaml:"official"`
	// Web and StatusPage are https addresses.
	Web        string `yaml:"web"`
	StatusPage string `yaml:"status"`
	// Category is one of Categories.
	Category string `yaml:"category"`
	// Countries are ISO 3166-1 alpha-2 codes; none means worldwide.
	Countries []string `yaml:"countries"`
	// Providers are ids of services on which this one depends.
	Providers []string `yaml:"providers"`
	// Ambiguous says that Name is also a word or another thing's name: it counts in a fitting context only.
	Ambiguous bool `yaml:"ambiguous"`
	// Context are words and phrases that make an ambiguous or weak name this service, anywhere in a post. In a phrase "~" stands for
	// the name and "*" for any one word: "~ card", "my ~ balance".
	Context []string `yaml:"context"`
	// Not are phrases, of the same form, that show that a word and not the service is meant: "~ in", "cut * some ~".
	Not []string `yaml:"not"`
}

// MaxPhraseWords bounds the words of a phrase in Service.Context and Service.Not.
const MaxPhraseWords = 6

// Networks are the networks whose handles a catalog may hold.
func Networks() []string { return []string{"bluesky", "mastodon", "twitter"} }
