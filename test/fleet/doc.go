// Package fleet holds the acceptance tests of the product: the program as it
// is built, as a process of its own, on Debian's gearmand, with Debian's tools as
// clients, and killed in every way that a fleet can be killed.
package fleet
