module outcry.dev/e2e

go 1.26.0

replace (
	outcry.dev/pkg => ../pkg
	outcry.dev/schemas => ../schemas
	outcry.dev/services => ../services
)
