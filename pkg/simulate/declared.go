package simulate

import "time"

// The curves below are posts a minute at hours:minutes since the scenario's start.

func curve(s string) Curve {
	c, err := parseCurve(s)
	if err != nil {
		panic(err) // a declaration of this package; every test meets it
	}
	return c
}

func at(s string) time.Duration {
	d, err := parseOffset(s)
	if err != nil {
		panic(err)
	}
	return d
}

func mixOf(s string) []Weighted {
	w, err := parseWeights(s)
	if err != nil {
		panic(err)
	}
	return w
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

var (
	onTwitter = []Source{{Name: "twitter", Share: 1}}
	onThree   = []Source{{Name: "bluesky", Share: 55}, {Name: "twitter", Share: 30}, {Name: "mastodon", Share: 15}}
)

// modern is an ordinary day of autumn 2026, to which scenarios add.
func modern(name, description string) Scenario {
	return Scenario{
		Name: name, Description: description, Start: day(2026, time.September, 15), Duration: 24 * time.Hour, Volume: 1,
		PostsPerDay: 40_000, Sources: onThree,
	}
}

func declared() []Scenario {
	all := []Scenario{skype2010()}
	for _, build := range []func() Scenario{
		total, regional, slowOnset, singleFeature, flapping, cloudFailure, telecomFailure, dnsFailure, twoUnrelated, rival,
		viralJoke, footballFinal, productLaunch, botAttack, priceRise, sourceSilent, daylightSaving, quiet,
	} {
		all = append(all, build())
	}
	return all
}

func skype2010() Scenario {
	return Scenario{
		Name:        "skype-2010",
		Description: "22 December 2010: Skype fails for millions at 16:00 UTC; the official word comes 50 minutes later (its recovery, which took a day, is shortened to hours)",
		Start:       day(2010, time.December, 22), Duration: 24 * time.Hour, Volume: 1, PostsPerDay: 72_000, Sources: onTwitter,
		Outages: []Outage{{
			Service: "skype", Kind: "total", From: at("15:58"), To: at("21:15"),
			Reports:      curve("15:58=0.3 16:05=1.5 16:12=4 16:20=8 16:35=17 17:00=32 17:25=42 18:00=40 19:00=30 20:00=16 20:40=7 21:15=2 21:40=0.4 22:10=0"),
			Recovered:    curve("18:40=0 19:30=1 20:10=5 20:45=8 21:15=6 22:00=2 23:00=0.5 24:00=0.2"),
			Symptoms:     mixOf("login:34 app_crash:16 general:18 connection:14 calls:13 messaging:4 loading:1"),
			Alternatives: []string{"facebook", "msn-messenger", "google-chat", "google-voice", "yahoo-messenger", "aim", "oovoo", "viber"},
			Official: []Statement{
				{At: at("16:50"), Text: "Some of you may have problems signing in to Skype – we're investigating, and we're sorry for the disruption to your conversations"},
				{At: at("18:05"), Text: "Our engineers and site operations team are working non-stop to get Skype back to normal – thanks for your continued patience"},
				{At: at("19:30"), Text: "We're bringing Skype back step by step. It may take several more hours until everybody can sign in again. Sorry for the wait"},
				{At: at("20:40"), Stage: "monitoring", Text: "Skype is now coming back for more and more of you. We know how much you rely on it – thank you for bearing with us"},
			},
		}},
	}
}

func total() Scenario {
	s := modern("total", "A messenger fails everywhere and entirely within minutes, for three hours")
	s.Outages = []Outage{{
		Service: "whatsapp", Kind: "total", From: at("13:02"), To: at("16:10"),
		Reports:      curve("13:02=1 13:08=20 13:20=60 13:45=75 14:30=60 15:30=35 16:10=10 17:00=1"),
		Recovered:    curve("15:45=0 16:05=12 16:30=8 17:30=0.5"),
		Symptoms:     mixOf("messaging:45 connection:20 login:10 general:25"),
		Alternatives: []string{"telegram", "signal", "discord"},
		Official:     []Statement{{At: at("13:40"), Stage: "investigating"}, {At: at("15:05"), Stage: "identified"}, {At: at("16:15"), Stage: "resolved"}},
	}}
	return s
}

func regional() Scenario {
	s := modern("regional", "A cable provider fails in one city, where few people post")
	s.Outages = []Outage{{
		Service: "spectrum", Kind: "regional", From: at("17:30"), To: at("20:45"),
		Reports:   curve("17:30=0.3 17:40=1.5 18:00=3.5 19:00=3.2 20:00=2 20:45=0.8 21:30=0.1"),
		Recovered: curve("20:20=0 20:45=1.2 21:30=0.2"),
		Symptoms:  mixOf("connection:75 general:20 performance:5"),
		Regions:   []string{"us-central"}, Places: []string{"austin", "round rock", "cedar park", "south austin"},
		Official: []Statement{{At: at("18:55"), Stage: "investigating", Text: "We're aware of an outage affecting Spectrum customers in the Austin area. Our technicians are on site and working to restore service."}},
	}}
	return s
}

func slowOnset() Scenario {
	s := modern("slow-onset", "A work chat gets slower over four hours until it hardly works")
	s.Outages = []Outage{{
		Service: "slack", Kind: "slow-onset", From: at("11:00"), To: at("18:00"),
		Reports:   curve("11:00=0 12:00=0.5 13:00=1.2 14:00=2.5 15:00=6 16:00=11 17:00=9 18:00=2 19:00=0.2"),
		Recovered: curve("17:20=0 18:00=3 19:00=0.3"),
		Symptoms:  mixOf("performance:35 loading:25 messaging:25 general:15"),
		Official:  []Statement{{At: at("15:10"), Stage: "investigating"}, {At: at("18:05"), Stage: "resolved"}},
	}}
	return s
}

func singleFeature() Scenario {
	s := modern("single-feature", "One function of a social network fails; the rest works")
	s.Outages = []Outage{{
		Service: "instagram", Kind: "single-feature", Feature: "stories", From: at("14:10"), To: at("16:40"),
		Reports:   curve("14:10=0.3 14:25=4 14:50=8 15:40=6 16:40=1 17:20=0.2"),
		Recovered: curve("16:20=0 16:45=2 17:30=0.2"),
		Symptoms:  mixOf("feature:70 loading:15 posting:10 general:5"),
		Official:  []Statement{{At: at("15:20"), Stage: "investigating", Text: "We know some people are unable to view or share stories on Instagram right now. We're working on a fix."}},
	}}
	return s
}

func flapping() Scenario {
	s := modern("flapping", "A game network fails, returns and fails again, five times: one outage")
	s.Outages = []Outage{{
		Service: "playstation", Kind: "flapping", From: at("15:00"), To: at("20:10"),
		Reports: curve("15:00=0.5 15:08=9 15:25=8 15:35=0.8 16:05=0.8 16:12=10 16:30=7 16:40=1 17:05=0.8 17:12=11 17:35=8 17:45=1 " +
			"18:15=0.8 18:22=10 18:45=7 18:55=1 19:30=0.8 19:37=9 20:00=5 20:10=0.8 20:40=0.1"),
		Recovered: curve("15:28=0 15:35=3 15:50=0.5 16:30=0.5 16:40=3 16:55=0.4 17:35=0.4 17:46=3 18:00=0.4 18:45=0.4 18:56=3 19:10=0.3 20:00=0.5 20:12=5 21:00=0.3"),
		Symptoms:  mixOf("connection:40 login:40 general:20"),
		Official:  []Statement{{At: at("16:50"), Stage: "investigating"}, {At: at("20:30"), Stage: "resolved"}},
	}}
	return s
}

func cloudFailure() Scenario {
	s := modern("cloud-failure", "A cloud provider fails and takes six services with it")
	s.Outages = []Outage{{
		Service: "aws", Kind: "cloud", From: at("14:00"), To: at("18:30"),
		Reports:   curve("14:00=0.5 14:08=5 14:25=12 15:30=11 17:00=7 18:30=2 19:30=0.2"),
		Recovered: curve("17:45=0 18:30=2 19:30=0.3"),
		Symptoms:  mixOf("website:25 connection:30 general:35 performance:10"),
		Official:  []Statement{{At: at("14:41"), Stage: "investigating"}, {At: at("16:00"), Stage: "identified"}, {At: at("18:40"), Stage: "resolved"}},
	}}
	for _, c := range []struct {
		service, from, reports, symptoms string
	}{
		{"snapchat", "14:03", "14:03=0.5 14:15=9 15:00=12 17:00=6 18:20=1", "loading:40 login:20 messaging:20 general:20"},
		{"ring", "14:04", "14:04=0.3 14:20=3 15:00=3 17:30=1.5 18:20=0.4", "connection:50 feature:20 general:30"},
		{"alexa", "14:05", "14:05=0.3 14:20=5 15:00=5 17:30=2 18:20=0.4", "connection:40 general:60"},
		{"fortnite", "14:05", "14:05=0.5 14:20=8 15:00=8 17:30=3 18:20=0.5", "login:50 connection:30 general:20"},
		{"venmo", "14:06", "14:06=0.3 14:20=3 15:00=3 17:30=1 18:20=0.3", "login:30 payments:50 general:20"},
		{"canva", "14:08", "14:08=0.3 14:25=4 15:10=4 17:30=1.5 18:20=0.3", "loading:50 website:20 general:30"},
	} {
		s.Outages = append(s.Outages, Outage{
			Service: c.service, Kind: "consequence", Root: "aws", From: at(c.from), To: at("18:20"),
			Reports: curve(c.reports), Recovered: curve("17:40=0 18:20=1.5 19:00=0.2"), Symptoms: mixOf(c.symptoms),
		})
	}
	return s
}

func telecomFailure() Scenario {
	s := modern("telecom-failure", "A telephone company fails in one country; card payments fail with it")
	s.PostsPerDay = 50_000
	s.Outages = []Outage{
		{
			Service: "rogers", Kind: "telecom", From: at("09:00"), To: at("22:00"),
			Reports:   curve("9:00=0.4 9:20=3 10:30=9 12:00=18 15:00=18 19:00=12 22:00=4 24:00=1"),
			Recovered: curve("20:00=0 22:00=3 24:00=1.5"),
			Symptoms:  mixOf("connection:55 calls:20 messaging:5 general:20"),
			Regions:   []string{"canada"}, Places: []string{"toronto", "ottawa", "hamilton", "kitchener", "ontario", "brampton"},
			Official: []Statement{{At: at("12:50"), Stage: "investigating"}, {At: at("17:30"), Stage: "identified"}, {At: at("23:10"), Stage: "monitoring"}},
		},
		{
			Service: "interac", Kind: "consequence", Root: "rogers", From: at("09:40"), To: at("21:50"),
			Reports:   curve("9:40=0.2 11:00=2 13:00=5 18:00=4 21:50=0.5"),
			Recovered: curve("20:30=0 21:50=1 23:00=0.2"),
			Symptoms:  mixOf("payments:80 general:20"), Regions: []string{"canada"},
		},
	}
	return s
}

func dnsFailure() Scenario {
	s := modern("dns-failure", "A provider of name service and delivery fails; many sites are unreachable for forty minutes")
	s.Outages = []Outage{{
		Service: "cloudflare", Kind: "dns", From: at("20:12"), To: at("20:55"),
		Reports:   curve("20:12=0.5 20:16=8 20:25=14 20:45=10 20:55=3 21:30=0.3"),
		Recovered: curve("20:48=0 20:56=4 21:30=0.3"),
		Symptoms:  mixOf("website:45 connection:30 general:25"),
		Official:  []Statement{{At: at("20:31"), Stage: "investigating"}, {At: at("21:00"), Stage: "resolved"}},
	}}
	for _, c := range []struct {
		service, reports, symptoms string
	}{
		{"discord", "20:13=1 20:18=16 20:40=12 20:55=1", "connection:40 messaging:30 general:30"},
		{"chatgpt", "20:13=0.5 20:18=9 20:40=7 20:55=0.5", "website:30 loading:40 general:30"},
		{"figma", "20:14=0.3 20:20=4 20:40=3 20:55=0.3", "website:40 loading:40 general:20"},
		{"canva", "20:14=0.3 20:20=4 20:40=3 20:55=0.3", "website:40 loading:40 general:20"},
		{"substack", "20:14=0.2 20:22=2 20:40=2 20:55=0.2", "website:70 general:30"},
	} {
		s.Outages = append(s.Outages, Outage{
			Service: c.service, Kind: "consequence", Root: "cloudflare", From: at("20:13"), To: at("20:55"),
			Reports: curve(c.reports), Recovered: curve("20:50=0 20:57=2 21:20=0.2"), Symptoms: mixOf(c.symptoms),
		})
	}
	return s
}

func twoUnrelated() Scenario {
	s := modern("two-unrelated", "A music service and a bank fail within twenty minutes of each other, for reasons of their own")
	s.Outages = []Outage{
		{
			Service: "spotify", Kind: "unrelated", From: at("14:00"), To: at("15:45"),
			Reports:   curve("14:00=0.5 14:08=12 14:30=22 15:15=15 15:45=4 16:30=0.3"),
			Recovered: curve("15:25=0 15:45=6 16:30=0.5"),
			Symptoms:  mixOf("playback:45 login:20 app_crash:15 general:20"), Alternatives: []string{"youtube", "soundcloud"},
			Official: []Statement{{At: at("14:35"), Stage: "investigating"}, {At: at("15:50"), Stage: "resolved"}},
		},
		{
			Service: "chase", Kind: "unrelated", From: at("14:20"), To: at("17:30"),
			Reports:   curve("14:20=0.3 14:35=4 15:00=8 16:30=6 17:30=1.5 18:00=0.2"),
			Recovered: curve("17:00=0 17:30=2 18:10=0.2"),
			Symptoms:  mixOf("login:45 payments:25 app_crash:15 general:15"), Regions: []string{"us-east", "us-central", "us-west"},
			Official: []Statement{{At: at("15:30"), Stage: "investigating"}},
		},
	}
	return s
}

func rival() Scenario {
	s := modern("rival", "A telephone network fails; users of its rivals complain that they cannot call it, and name theirs")
	s.Outages = []Outage{{
		Service: "t-mobile", Kind: "telecom", From: at("16:00"), To: at("21:00"),
		Reports:   curve("16:00=0.5 16:15=8 17:00=18 19:00=14 21:00=3 22:00=0.3"),
		Recovered: curve("20:10=0 21:00=4 22:00=0.4"),
		Symptoms:  mixOf("calls:55 connection:25 messaging:10 general:10"), Rivals: []string{"verizon", "att"},
		Regions:  []string{"us-east", "us-central", "us-west"},
		Official: []Statement{{At: at("17:10"), Stage: "investigating"}, {At: at("21:20"), Stage: "resolved"}},
	}}
	return s
}

func viralJoke() Scenario {
	s := modern("viral-joke", "Everybody jokes that a video network is down; it is not")
	s.Talk = []Talk{{Section: "other.viral", About: []string{"tiktok"}, Posts: curve("12:00=0 12:30=4 14:00=30 17:00=38 20:00=18 24:00=3")}}
	return s
}

func footballFinal() Scenario {
	s := modern("football-final", "A final doubles the posts of an evening; players go down, nothing else does")
	s.Start = day(2026, time.July, 19)
	s.Talk = []Talk{{
		Section: "other.football", About: []string{"twitter", "youtube", "tiktok"},
		Posts: curve("17:30=2 19:00=25 19:30=70 19:45=50 20:10=90 20:45=75 21:00=160 21:40=90 23:00=15 24:00=4"),
	}}
	return s
}

func productLaunch() Scenario {
	s := modern("product-launch", "A keynote: everybody talks about a telephone, and its shop is closed on purpose")
	s.Talk = []Talk{{
		Section: "other.launch", About: []string{"iphone", "iphone", "iphone", "ipad"},
		Posts: curve("13:00=1 16:00=6 17:00=45 18:00=60 19:00=40 22:00=12 24:00=4"),
	}}
	return s
}

func botAttack() Scenario {
	s := modern("bot-attack", "Nine accounts copy the same four reports of an outage that does not exist")
	s.Bots = []Bots{{Service: "paypal", Accounts: 9, Texts: 4, Posts: curve("15:00=0 15:05=14 16:30=14 16:40=0")}}
	return s
}

func priceRise() Scenario {
	s := modern("price-rise", "A video service raises its prices; complaints soar, it works")
	s.Talk = []Talk{{Section: "complaint.price", About: []string{"netflix"}, Posts: curve("13:00=0 13:20=10 14:30=24 18:00=18 24:00=4")}}
	return s
}

func sourceSilent() Scenario {
	s := modern("source-silent", "One of two sources delivers nothing for six hours, then an outage is heard on both")
	s.Sources = []Source{
		{Name: "bluesky", Share: 60, Silent: []Interval{{at("08:00"), at("14:00")}}},
		{Name: "twitter", Share: 40},
	}
	s.Outages = []Outage{{
		Service: "github", Kind: "total", From: at("17:00"), To: at("18:30"),
		Reports:   curve("17:00=0.5 17:10=6 17:30=10 18:10=6 18:30=2 19:00=0.2"),
		Recovered: curve("18:15=0 18:30=2 19:00=0.2"),
		Symptoms:  mixOf("website:40 connection:25 loading:15 general:20"),
		Official:  []Statement{{At: at("17:25"), Stage: "investigating"}},
	}}
	return s
}

func daylightSaving() Scenario {
	s := modern("daylight-saving", "The night in which Europe's clocks go back: days shift by an hour, and an outage falls into the hour that comes twice")
	s.Start, s.Duration, s.PostsPerDay = day(2026, time.October, 23), 4*24*time.Hour, 25_000
	s.Talk = []Talk{{Section: "other.clock", About: []string{"iphone", "android"}, Posts: curve("47:00=0 49:00=3 52:00=2 56:00=5 60:00=1")}}
	s.Outages = []Outage{{
		Service: "revolut", Kind: "total", From: at("48:20"), To: at("50:10"),
		Reports:   curve("48:20=0.3 48:30=3 49:00=5 50:10=2 51:00=0.2"),
		Recovered: curve("50:00=0 50:15=1.5 51:00=0.2"),
		Symptoms:  mixOf("payments:60 login:20 app_crash:5 general:15"),
		Regions:   []string{"uk", "ireland", "spain", "france"},
		Official:  []Statement{{At: at("49:25"), Stage: "investigating"}},
	}}
	return s
}

func quiet() Scenario {
	s := modern("quiet", "A week in which nothing happens")
	s.Start, s.Duration, s.PostsPerDay = day(2026, time.September, 7), 7*24*time.Hour, 20_000
	return s
}
