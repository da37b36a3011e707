package names

import "strings"

// traits say what a word hints at when it stands near a name that is also a word.
type traits uint32

const (
	fails   traits = 1 << iota // says that something fails, by itself
	works                      // says so behind "not", "won't", "keeps"
	aux                        // may stand between a subject and what it does
	agent                      // behind a name: it does something, as programs and companies do
	indef                      // before a name: any one of a kind
	def                        // before a name: a certain one of a kind
	poss                       // before a name: another's
	own                        // before a name: the author's
	verbal                     // before a name: it is a verb
	object                     // behind a name: it is a verb
	uses                       // before a name: it is a thing one logs into, writes through, thanks or hates
	at                         // before a name: a place or means
	joins                      // between names of one kind
	part                       // behind a name: a part of a service
	tech                       // anywhere: talk of programs, accounts and machines
	number                     // before a name: it is counted
	preverb                    // before "to": what goes to a service rather than what wants to do something
	subject                    // before "is down": asks or tells
)

// lexicon gives the traits of words, in the languages of Outcry. Words of scripts without gaps are found by their characters, so
// that those languages are served by the contexts of the services alone.
var lexicon = []struct {
	traits traits
	words  string
}{
	{fails | tech, `crash crashed crashing crashes outage outages error errors offline glitch glitching glitchy glitches glitched laggy lagging lags
		lag buggy bugging bugged unreachable disconnected disconnecting disconnects disconnect degraded timeout unresponsive unusable hacked
		ddos caido caida caidos caiu bugado bugou erro panne plante plantage rame bug bugs kaputt storung stoerung ausfall gestort storing
		plat gangguan eror lemot coktu cokmus hata arizali calismiyor acilmiyor giremiyorum baglanamiyorum
		сбои упал упала лежит лагает глючит ошибка معطل عطل خلل تعطل واقع واقف خربان डाउन क्रैश`},
	{fails, `down broken broke dead dying died dies slow frozen freezing freezes froze failing failed fails fail unavailable stuck issues issue
		problems problem trouble troubles sucks trash garbage useless acting blank black dropping drops dropped logs logged kicked kicking
		kicks booted fucked messed borked busted toast struggling suspended hanging hung melting out ko giu fuera fora mort hs weg kapot mati
		downnn buffering buffers delayed wonky horrible awful terrible funktioniert geht funciona funcionando marche fonctionne funziona
		werkt werkte работает बंद problema problemas fallas fallando problemi probleme problemen lento lenta lent langsam traag sorun yavas`},
	{works, `working work works loading load loads opening open opens starting start starts responding respond connecting connect connects syncing
		sync syncs sending send sends updating playing streaming showing letting let lets allowing accepting processing posting posted going
		refreshing launching launch logging signing joining join buffering ringing recording delivering delivered charging printing saving save
		acting accessible reachable available installing register verifying verify functioning coming stable up back online`},
	{aux, `is isnt are arent was wasnt were werent has hasnt have havent had hadnt keeps keep kept wont will does doesnt did didnt can cant cannot couldnt wouldnt not aint
		still just always constantly again really totally completely so been being went goes go going seems seem appears feels looks currently
		now having s never be stopped refuses refused to today right officially basically literally finally even all ever super
		absolutely fucking freaking very too pretty also both n apparently probably definitely yet ist sind nicht no esta está ne est pas non
		è niet не снова опять`},
	{agent, `has keeps wont says said saying wants needs lets doesnt hasnt refuses thinks told decided announced launched released pushed
		updated charged charges owes owns claims isnt just cancelled canceled sent closed locked denied declined ate lost deleted
		changed offers sells does fixed support please pls plz shows showed show failed refuse uses use eats eat kills killed cuts raised raises drained drains
		stopped stops hates`},
	{indef, `a an another some any no every each which what such this these those few various un una une ein eine einen uno een bir`},
	{def, `the that der die das le la el il lo los las les de o`},
	{poss, `his her their its whose`},
	{poss | own, `your`},
	{own, `my our mi mon ma meu minha mein meine mijn mio mia nuestro notre unser`},
	{verbal, `i you we they he she who dont didnt let lets can could will would should must might gonna wanna shall cannot never please
		people always rather ill ya`},
	{object, `a an the my your his her me you him them us it their our these those yourself myself each one another every`},
	{object, `towards toward away past across along around about through`},
	{uses, `use uses using used via through opening open opened install installed installing reinstall reinstalled download downloading downloaded
		joining joined restart restarted restarting updating updated uninstall uninstalled uninstalling delete deleted
		deleting hate hates hated love loving loves dear hey hi hello thanks thank thx dm fuck fix fixing blame blaming switching switched leaving
		quit quitting calling called contact contacting contacted onto dammit damn wtf lol omg ugh yo plz pls 
		else elses logging login reopen relaunch refresh launch launching trust trusted ditch ditched ditching quitting boycott screw damn curse paying paid pay
		owe sue suing blocked why`},
	{at, `on at from with by over in via into inside off to for of than like without about onto except besides`},
	{joins, `and or vs versus n y e o und oder et ou en of dan ve и و app while but to than not because cause when so if since whenever where that says why how aka called`},
	{part, `app apps server servers site website web login account accounts support outage outages api link links page customer service services
		user users update updates desktop mobile online client bot bots channel store password passwords hq employee employees rep reps
		dev devs team software platform status id notifications notification subscription error errors card cards team's tv
		messages message messaging chat call calls backup alert alerts`},
	{tech, `app apps server servers login log logged logging password passwords account accounts website webpage update updates updated download
		upload uploading uploads notifications notification iphone android laptop macbook mac pc browser customer support api wifi internet
		online offline software install installed uninstall reinstall reboot rebooted restart restarted router modem desktop
		email emails app's servers isp outage outages maintenance username verification code captcha 2fa
		serveur serveurs servidor servidores aplicacion aplicativo aplikasi sunucu uygulama сервер серверы приложение تطبيق सर्वर ऐप
		site sites checkout refund buffering wi fi signin dms dm streaming 500 502 503 504 404`},
	{number, `two three four five six seven eight nine ten both many several most all other more fewer multiple 2 3 4 5 6 7 8 10 12 16 20 32 our first
		second third last next best top bottom same right wrong good bad great new old big little different final whole only favorite favourite
		medical rescue`},
	{preverb, `go going went gone goes switch switched switching move moved moving back log logged logging sign signed signing connect connected
		connecting connection access accessed listening listen talking talk talked spoke subscribed uploaded uploading upload refuse
		belong belongs welcome thanks according compared paid pay paying send sent sending due post posted sell sold running ran drive
		driving trip returned return add added login writing wrote`},
	{subject, `is are was has does did why`},
}

func newLexicon(r *reader) wordTable {
	t := newWordTable(4096)
	for _, entry := range lexicon {
		for _, word := range strings.Fields(entry.words) {
			t.add(r.word(word, 0).hash, entry.traits)
		}
	}
	return t
}

// wordTable maps words' hashes to traits, by open addressing.
type wordTable struct {
	keys   []uint64
	traits []traits
}

func newWordTable(size int) wordTable {
	return wordTable{keys: make([]uint64, size), traits: make([]traits, size)}
}

func (t *wordTable) slot(hash uint64) int {
	mask := uint64(len(t.keys) - 1)
	for i := hash * seed >> 20; ; i++ {
		if key := t.keys[i&mask]; key == hash || key == 0 {
			return int(i & mask)
		}
	}
}

func (t *wordTable) add(hash uint64, has traits) {
	i := t.slot(hash)
	t.keys[i] = hash
	t.traits[i] |= has
}

func (t *wordTable) of(hash uint64) traits { return t.traits[t.slot(hash)] }
