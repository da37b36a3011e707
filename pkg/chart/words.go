package chart

import (
	"fmt"
	"slices"
	"time"
)

// Languages in which the words of a chart are known.
func Languages() []string { return []string{"en", "de", "es", "fr"} }

// KnownLanguage tells whether a chart can be labelled in a language.
func KnownLanguage(language string) bool { return slices.Contains(Languages(), language) }

type words struct {
	people, expected, alarm, silent, nothing string
	unit                                     string // of %s, a step
	minute, hour, day                        [2]string
	marks                                    map[MarkKind]string
	utc                                      string
	rate                                     string // of %s, a step
}

var vocabulary = map[string]words{
	"en": {"people complaining", "expected", "alarm", "nothing read", "nothing was read in this time", "people complaining per %s, not users affected",
		[2]string{"minute", "minutes"}, [2]string{"hour", "hours"}, [2]string{"day", "days"},
		map[MarkKind]string{Started: "first unusual minute", Detected: "detected", Confirmed: "confirmed", Official: "first official word", Resolved: "resolved"}, "times in UTC",
		"people per 1,000 mentions, each %s"},
	"de": {"Menschen, die sich beschweren", "erwartet", "Alarm", "nichts gelesen", "in dieser Zeit wurde nichts gelesen", "Menschen, die sich beschweren, je %s; nicht Betroffene",
		[2]string{"Minute", "Minuten"}, [2]string{"Stunde", "Stunden"}, [2]string{"Tag", "Tage"},
		map[MarkKind]string{Started: "erste ungewöhnliche Minute", Detected: "erkannt", Confirmed: "bestätigt", Official: "erstes Wort des Anbieters", Resolved: "vorbei"}, "Zeiten in UTC",
		"Menschen je 1.000 Erwähnungen, Schritt: %s"},
	"es": {"personas que se quejan", "esperado", "alarma", "nada leído", "no se leyó nada en este tiempo", "personas que se quejan por %s, no usuarios afectados",
		[2]string{"minuto", "minutos"}, [2]string{"hora", "horas"}, [2]string{"día", "días"},
		map[MarkKind]string{Started: "primer minuto inusual", Detected: "detectado", Confirmed: "confirmado", Official: "primera palabra oficial", Resolved: "resuelto"}, "horas en UTC",
		"personas por cada 1.000 menciones, cada %s"},
	"fr": {"personnes qui se plaignent", "attendu", "alarme", "rien lu", "rien n’a été lu pendant ce temps", "personnes qui se plaignent par %s, et non utilisateurs touchés",
		[2]string{"minute", "minutes"}, [2]string{"heure", "heures"}, [2]string{"jour", "jours"},
		map[MarkKind]string{Started: "première minute inhabituelle", Detected: "détecté", Confirmed: "confirmé", Official: "premier mot officiel", Resolved: "résolu"}, "heures en UTC",
		"personnes pour 1 000 mentions, pas : %s"},
}

func wordsIn(language string) words {
	if w, found := vocabulary[language]; found {
		return w
	}
	return vocabulary["en"]
}

func (w words) step(step time.Duration) string {
	for _, u := range []struct {
		length time.Duration
		names  [2]string
	}{{24 * time.Hour, w.day}, {time.Hour, w.hour}, {time.Minute, w.minute}} {
		if n := step / u.length; n > 0 && step%u.length == 0 {
			if n == 1 {
				return u.names[0]
			}
			return fmt.Sprintf("%d %s", n, u.names[1])
		}
	}
	return step.String()
}

func (w words) unitOf(step time.Duration) string { return fmt.Sprintf(w.unit, w.step(step)) }

func (w words) rateOf(step time.Duration) string { return fmt.Sprintf(w.rate, w.step(step)) }
