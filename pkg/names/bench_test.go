package names

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"outcry.dev/pkg/catalog"
)

// benchWords are ordinary words, the frequent ones first, as posts use them.
var benchWords = strings.Fields(`the to i a and you is in it of for my me on that this so just be with at have not are but was what your
we all if do can up out like get no now when don't about how it's one go good day love got know u lol new they she he going time want am more
will see back from i'm today great there still too night think people or really need life make work who some her tonight right why him his
would had been as then our morning off week haha well here thanks much best over down again home them could always never game ever happy after
last first next year man live watch only even say said way sleep tomorrow feel very by school hate ready better before every thing something look
someone friends world any class weekend house bad oh girl phone food old wait come coming take hope where which maybe long little big watching
trying thought getting other things let nothing help everyone guess music movie play show real song birthday party beautiful coffee dinner eating
weather rain sunday monday friday team finally talk kids family money please talking started since everything hours miss drive car hair city
american first united national bank power star super green black blue red free open true best general world global digital air sun`)

// syntheticCatalog has n services with names as real ones have: invented words, pairs of ordinary and invented words, and pairs of
// ordinary words; each with aliases, handles, hashtags and an address.
func syntheticCatalog(n int) *catalog.Catalog {
	rng := rand.New(rand.NewPCG(1, 2))
	syllables := strings.Fields("ba be bi bo bu da de di do du fa fe fi fo ga go ka ke ki ko la le li lo lu ma me mi mo na ne ni no pa pe pi po ra re ri ro sa se si so ta te ti to va ve vi vo xa za zo")
	invented := func() string {
		var b strings.Builder
		for range 2 + rng.IntN(3) {
			b.WriteString(syllables[rng.IntN(len(syllables))])
		}
		return b.String()
	}
	word := func() string { return benchWords[rng.IntN(len(benchWords))] }
	services := make([]catalog.Service, n)
	for i := range services {
		own := fmt.Sprintf("%s%x", invented(), i)
		s := catalog.Service{ID: fmt.Sprintf("s%d", i), Name: own, Category: "web", Web: "https://www." + own + ".com"}
		if rng.IntN(5) > 0 { // most services are of one country
			s.Countries = []string{"DE"}
		}
		switch rng.IntN(10) {
		case 0, 1:
			s.Name = word() + " " + own
		case 2, 3:
			s.Name = own + " " + word()
		case 4:
			s.Name = word() + " " + word() + " " + own
		}
		s.Aliases = []string{own + "x", word() + " " + invented() + fmt.Sprint(i)}
		s.Handles = map[string][]string{"twitter": {own, own + "help"}}
		s.Hashtags = []string{own + "fail"}
		services[i] = s
	}
	return catalog.New(services)
}

// mix gives posts of 80 to 140 bytes, three in a hundred of which name a service.
func mix(c *catalog.Catalog, n int) []string {
	rng := rand.New(rand.NewPCG(3, 4))
	posts := make([]string, n)
	for i := range posts {
		length := 80 + rng.IntN(61)
		var b strings.Builder
		if i%100 < 3 {
			b.WriteString(c.Services[rng.IntN(len(c.Services))].Name + " is down ")
		}
		for b.Len() < length-6 {
			// Frequent words are frequent: the rank is squared uniform.
			r := rng.Float64()
			w := benchWords[int(r*r*float64(len(benchWords)))]
			switch rng.IntN(40) {
			case 0:
				w = "@" + w + "x"
			case 1:
				w = "#" + w
			case 2:
				w = "https://t.co/Ab3dE" + w
			case 3:
				w += "…"
			case 4:
				w += " 😂"
			case 5:
				w += ","
			case 6:
				w = strings.ToUpper(w[:1]) + w[1:]
			}
			b.WriteString(w + " ")
		}
		posts[i] = strings.TrimSpace(b.String())
	}
	return posts
}

func benchmarkFind(b *testing.B, c *catalog.Catalog, posts []string) {
	m := New(c)
	dst := make([]Match, 0, MaxMatches)
	bytes, named := 0, 0
	for _, p := range posts {
		bytes += len(p)
		if len(m.Find(p, dst)) > 0 {
			named++
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		dst = m.Find(posts[i], dst[:0])
		if i++; i == len(posts) {
			i = 0
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
	b.ReportMetric(float64(bytes)/float64(len(posts)), "bytes/post")
	b.ReportMetric(100*float64(named)/float64(len(posts)), "%named")
}

func BenchmarkFind(b *testing.B) {
	posts := mix(syntheticCatalog(100), 20_000)
	for _, n := range []int{100, 1_000, 12_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkFind(b, syntheticCatalog(n), posts) })
	}
	b.Run("default", func(b *testing.B) { benchmarkFind(b, catalog.Default(), posts) })
}

func BenchmarkNew(b *testing.B) {
	c := catalog.Default()
	for b.Loop() {
		New(c)
	}
}

// BenchmarkFindAmbiguous is of posts that all hold a name that is a word as well.
func BenchmarkFindAmbiguous(b *testing.B) {
	var posts []string
	for _, p := range readJudged(b, "testdata/context-dev.txt") {
		posts = append(posts, p.text)
	}
	benchmarkFind(b, catalog.Default(), posts)
}

// BenchmarkFindScripts is of posts in scripts other than Latin that name nothing.
func BenchmarkFindScripts(b *testing.B) {
	benchmarkFind(b, catalog.Default(), scripts)
}

var scripts = []string{
	"今日は朝から雨が降っていて、駅まで歩くだけで靴がびしょびしょになってしまった。早く帰りたいなあ",
	"오늘 아침부터 비가 와서 역까지 걸어가는 동안 신발이 다 젖어 버렸다 빨리 집에 가고 싶다",
	"Сегодня с утра идёт дождь, пока дошла до станции, промочила ноги, хочу домой",
	"النهارده الصبح كانت الدنيا بتمطر وانا ماشي للمحطة والجزمة غرقت عايز ارجع البيت",
	"आज सुबह से बारिश हो रही है और पैदल चलते चलते जूते भीग गए, जल्दी घर जाना है",
	"วันนี้ฝนตกตั้งแต่เช้า เดินไปสถานีรองเท้าเปียกหมดเลย อยากกลับบ้านเร็วๆ",
}
