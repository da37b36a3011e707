package names

import (
	"fmt"
	"strings"
	"testing"

	"outcry.dev/pkg/catalog"
)

func testCatalog() *catalog.Catalog {
	services := []catalog.Service{
		{ID: "apple", Name: "Apple", Ambiguous: true, Context: []string{"iphone"}},
		{ID: "apple-music", Name: "Apple Music", Aliases: []string{"アップルミュージック"}},
		{ID: "att", Name: "AT&T", Handles: map[string][]string{"twitter": {"ATT", "ATTHelp"}}},
		{ID: "disney-plus", Name: "Disney+", Aliases: []string{"disney plus"}},
		{ID: "facebook", Name: "Facebook", Aliases: []string{"فيسبوك", "फेसबुक", "페이스북"}, Web: "https://www.facebook.com"},
		{ID: "github", Name: "GitHub", Web: "https://github.com", Handles: map[string][]string{"bluesky": {"github.com"}}},
		{ID: "google", Name: "Google", Aliases: []string{"グーグル"}, Web: "https://www.google.com"},
		{ID: "google-cloud", Name: "Google Cloud", Web: "https://cloud.google.com"},
		{ID: "itau", Name: "Itaú"},
		{ID: "kakaotalk", Name: "KakaoTalk", Aliases: []string{"카톡", "카카오톡"}},
		{ID: "line", Name: "LINE", Ambiguous: true, Weak: []string{"ライン"}, Context: []string{"sticker"}},
		{ID: "mastodon", Name: "Mastodon", Handles: map[string][]string{"mastodon": {"Mastodon@mastodon.social"}}},
		{ID: "mcdonalds", Name: "McDonald's"},
		{ID: "messenger", Name: "Facebook Messenger"},
		{ID: "movistar-plus", Name: "Movistar Plus+"},
		{ID: "sberbank", Name: "Сбербанк"},
		{ID: "skype", Name: "Skype", Aliases: []string{"スカイプ", "скайп"}, Web: "https://www.skype.com", Hashtags: []string{"skypocalypse"},
			Handles: map[string][]string{"twitter": {"Skype", "SkypeSupport"}, "bluesky": {"skype.bsky.social"}}},
		{ID: "t-mobile", Name: "T-Mobile"},
		{ID: "twitter", Name: "Twitter", Aliases: []string{"ツイッター"}, Web: "https://twitter.com"},
		{ID: "uber", Name: "Uber"},
		{ID: "yahoo-japan", Name: "Yahoo! JAPAN"},
		{ID: "alipay", Name: "Alipay", Aliases: []string{"支付宝"}},
		{ID: "true-th", Name: "TrueMove H", Aliases: []string{"ทรูมูฟ"}},
	}
	for i := range services {
		services[i].Category = "web"
	}
	return catalog.New(services)
}

func TestFind(t *testing.T) {
	c := testCatalog()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	m := New(c)
	for _, test := range []struct{ text, want string }{ // want: service:kind:matched text, one after another
		{"skype is down", "skype:name:skype"},
		{"SKYPE", "skype:name:SKYPE"},
		{"Is Skype's login broken? Skypes dead", "skype:name:Skype skype:name:Skypes"},
		{"Skype’s gone", "skype:name:Skype"},
		{"skyper or myskype or skype2", ""},
		{"(skype) \"skype\" skype, skype. skype!", "skype:name:skype skype:name:skype skype:name:skype skype:name:skype skype:name:skype"},
		{"ＳＫＹＰＥ and 𝐬𝐤𝐲𝐩𝐞 and Ｓky\u200bp\u0301e", "skype:name:ＳＫＹＰＥ skype:name:𝐬𝐤𝐲𝐩𝐞 skype:name:Ｓky\u200bp\u0301e"},
		{"sky\u200bpe s\u0301\u0302\u0303kype", "skype:name:sky\u200bpe skype:name:s\u0301\u0302\u0303kype"},
		{"über Uber UBER übers", "uber:name:Uber uber:name:UBER"},
		{"[SkypeSupport] hello, skypesupport", "skype:handle:SkypeSupport skype:handle:skypesupport"},
		{"itau caiu, Itaú caiu, ITAÚ", "itau:name:itau itau:name:Itaú itau:name:ITAÚ"},

		{"Google Cloud is not Google", "google-cloud:name:Google Cloud google:name:Google"},
		{"google-cloud google  cloud googlecloud", "google-cloud:name:google-cloud google-cloud:name:google  cloud google-cloud:name:googlecloud"},
		{"i like google. Cloud is nice", "google:name:google"},
		{"google\ncloud", "google:name:google"},
		{"facebook messenger", "messenger:name:facebook messenger"},
		{"Yahoo! JAPAN yahoo japan", "yahoo-japan:name:Yahoo! JAPAN yahoo-japan:name:yahoo japan"},
		{"AT&T at&amp;t at & t at t AT T at+t", "att:name:AT&T att:name:at&amp;t att:name:at & t"},
		{"i use movistar plus+ and movistar plus", "movistar-plus:name:movistar plus+"},
		{"at T-Mobile, tmobile, t mobile", "t-mobile:name:T-Mobile t-mobile:name:tmobile t-mobile:name:t mobile"},
		{"Disney+ disney plus disney", "disney-plus:name:Disney+ disney-plus:alias:disney plus"},
		{"McDonald's mcdonalds McDonald’s mcdonald", "mcdonalds:name:McDonald's mcdonalds:name:mcdonalds mcdonalds:name:McDonald’s"},

		{"@SkypeSupport help", "skype:handle:@SkypeSupport"},
		{"RT @skype: hello", "skype:handle:@skype"},
		{"@skype. It @skype.Please @skype.evil.com @skype.org", "skype:handle:@skype skype:handle:@skype"},
		{"@Skype.com @www.skype.com", "skype:handle:@Skype.com"},
		{"@skypefan @skype_fan @theskype @skype.bsky.app", ""},
		{"@skype.bsky.social hey", "skype:handle:@skype.bsky.social"},
		{"@github.com is down", "github:handle:@github.com"},
		{"@mastodon@mastodon.social and @Mastodon@evil.example", "mastodon:handle:@mastodon@mastodon.social"},
		{"＠skype", "skype:handle:＠skype"},
		{"me@skype.com bob.smith@google.com skype@skype.com", ""},

		{"#skype #Skype_Down #skypedown #SkypeFail #skypeIsDown", "skype:hashtag:#skype skype:hashtag:#Skype_Down skype:hashtag:#skypedown skype:hashtag:#SkypeFail skype:hashtag:#skypeIsDown"},
		{"#ripskype #skypocalypse #skypeparty #myskypelife", "skype:hashtag:#ripskype skype:hashtag:#skypocalypse"},
		{"#GoogleCloud #Google Cloud", "google-cloud:hashtag:#GoogleCloud google-cloud:name:#Google Cloud"},
		{"＃ツイッター障害 #페이스북", "twitter:hashtag:＃ツイッター障害 facebook:hashtag:#페이스북"},
		{"&#39;skype&#39;", "skype:name:skype"},

		{"twitter.com is down", "twitter:domain:twitter.com"},
		{"is www.twitter.com down? http://twitter.com/ https://twitter.com", "twitter:domain:www.twitter.com twitter:domain:http://twitter.com twitter:domain:https://twitter.com"},
		{"https://twitter.com/x/status/1 facebook.com/foo google.com?q=skype", ""},
		{"https://example.com/skype bit.ly/skype http://a.b/c?skype=1#skype skype", "skype:name:skype"},
		{"api.github.com is slow", "github:domain:api.github.com"},
		{"cloud.google.com", "google-cloud:domain:cloud.google.com"},
		{"nottwitter.com and twitter.community", "twitter:name:twitter"},
		{"skype.It is down. Skype...now", "skype:name:skype skype:name:Skype"},
		{"skype:it is down; skype.com:it is", "skype:name:skype skype:domain:skype.com"},
		{"https://t.co/abcスカイプ", "skype:alias:スカイプ"},

		{"ツイッターが落ちた", "twitter:alias:ツイッター"},
		{"Twitterが落ちた", "twitter:name:Twitter"},
		{"ミツイッターズ", ""},
		{"グーグルとｸﾞｰｸﾞﾙ", "google:alias:グーグル google:alias:ｸﾞｰｸﾞﾙ"},
		{"我的支付宝打不开", "alipay:alias:支付宝"},
		{"วันนี้ทรูมูฟล่ม", "true-th:alias:ทรูมูฟ"},
		{"카톡이 안돼 카톡 카톡방 안카톡", "kakaotalk:alias:카톡 kakaotalk:alias:카톡"},
		{"카카오톡접속 페이스북은", "kakaotalk:alias:카카오톡 facebook:alias:페이스북"},
		{"الفيسبوك والفيسبوك بالفيسبوك فَيسبوك فيسبوكي", "facebook:alias:الفيسبوك facebook:alias:والفيسبوك facebook:alias:بالفيسبوك facebook:alias:فَيسبوك"},
		{"फ़ेसबुक डाउन है, फेसबुक", "facebook:alias:फ़ेसबुक facebook:alias:फेसबुक"},
		{"у скайпа сбой, сбербанк, СБЕРБАНКА, скайпер", "skype:alias:скайпа sberbank:name:сбербанк sberbank:name:СБЕРБАНКА"},
		{"twittera giremiyorum, twitter'a da", "twitter:name:twittera twitter:name:twitter"},
		{"\xff\xfeskype\xff skype\xc3", "skype:name:skype skype:name:skype"},
		{"", ""},
		{"#", ""}, {"@", ""}, {"&", ""}, {"http://", ""}, {"a.", ""}, {"a.b", ""}, {"#_", ""}, {"@.", ""}, {"a@", ""}, {"\xe2\x80", ""},
	} {
		var got []string
		for _, f := range m.Find(test.text, nil) {
			got = append(got, fmt.Sprintf("%s:%s:%s", c.Services[f.Service].ID, f.Kind, test.text[f.Start:f.End]))
		}
		if g := strings.Join(got, " "); g != test.want {
			t.Errorf("%q\n got %s\nwant %s", test.text, g, test.want)
		}
	}
}

func TestFindAppendsUpToLimit(t *testing.T) {
	m := New(testCatalog())
	before := []Match{{Service: 7}}
	got := m.Find(strings.Repeat("skype ", 1000), before)
	if len(got) != 1+MaxMatches || got[0].Service != 7 {
		t.Errorf("%d matches", len(got))
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	m := New(catalog.Default())
	dst := make([]Match, 0, MaxMatches)
	for _, text := range []string{
		"just a quiet evening with friends and some tea",
		"Zoom is down, Slack won't load, apple pie in a box, #targetdown https://example.com/a?b=c @nobody me@example.com",
		"今日は天気がいいですね카톡이 안돼 पानी بارد кот \xff\xfe s\u0301\u0302\u0303",
	} {
		if n := testing.AllocsPerRun(100, func() { dst = m.Find(text, dst[:0]) }); n != 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}
