package names

import (
	"strings"

	"outcry.dev/pkg/names/fold"
)

// tags are what people add to a name in a hashtag, most often to say that it fails.
type tags struct {
	suffixes [256][]string // by their last byte
	prefixes []string
}

func newTags() tags {
	t := tags{prefixes: make([]string, 0, len(tagPrefixes))}
	for _, s := range tagSuffixes {
		s = strings.ReplaceAll(fold.String(s), " ", "")
		last := s[len(s)-1]
		t.suffixes[last] = append(t.suffixes[last], s)
	}
	for _, p := range tagPrefixes {
		t.prefixes = append(t.prefixes, fold.String(p))
	}
	return t
}

var tagSuffixes = [...]string{
	"down", "isdown", "downagain", "isdownagain", "wentdown", "goesdown", "godown", "isoffline", "offline", "isback", "isup", "up",
	"outage", "outages", "outtage", "blackout", "out", "shutdown", "meltdown",
	"fail", "fails", "failure", "failed", "isfailing", "epicfail", "crash", "crashed", "crashing", "iscrashing", "error", "errors", "bug", "bugs",
	"issue", "issues", "problem", "problems", "trouble", "troubles", "notworking", "isntworking", "isnotworking", "broken", "isbroken",
	"broke", "sucks", "suck", "lag", "glitch", "fix", "help", "support", "care", "cares", "gate", "pocalypse", "2down",
	"ausfall", "stoerung", "storung", "downde", "kaputt", "panne", "enpanne", "bug2", "horsservice", "hs",
	"caido", "caida", "secayo", "nofunciona", "fallas", "falla", "sinservicio", "caiu", "foradoar", "fora", "bugado", "problema", "problemas",
	"nonfunziona", "giu", "inpanne", "fuoriuso", "storing", "plat", "ligteruit", "gangguan", "eror", "lemot", "mati",
	"coktu", "cokmus", "gitti", "calismiyor", "acilmiyor", "sorun", "erisim",
	"障害", "不具合", "落ちた", "落ちてる", "落ち", "鯖落ち", "エラー", "重い", "장애", "오류", "먹통", "터짐", "접속불가",
	"معطل", "عطل", "تعطل", "لايعمل", "سقوط", "خلل", "упал", "сбои", "нераб", "неработает", "лег", "лежит", "डाउन", "बंद",
}

var tagPrefixes = [...]string{"rip", "fix", "is", "whyis", "byebye", "goodbye", "bye", "wheres", "down", "تعطل", "عطل", "خلل"}
