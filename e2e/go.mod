module outcry.dev/e2e

go 1.26.0

replace (
	outcry.dev/pkg => ../pkg
	outcry.dev/schemas => ../schemas
	outcry.dev/services => ../services
)

require outcry.dev/pkg v0.0.0

require github.com/google/go-cmp v0.7.0 // indirect
