package catalog

import (
	"testing"
)

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Services); n < 1000 {
		t.Fatalf("%d services", n)
	}
}
