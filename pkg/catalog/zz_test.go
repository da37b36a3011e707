package catalog
import ("testing";"time";"fmt")
func TestZZ(t *testing.T){ s:=time.Now(); c := Default(); fmt.Println(time.Since(s), len(c.Services)) }
