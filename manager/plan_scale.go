package manager

import (
	"cmp"
	"maps"
	"slices"
)

// scaledByHand is the origin of a number of slots that operators have set.
const scaledByHand = "scaled by hand"

// scale sets the slots of pools by their names: that of a dedicated pool is its function's. It divides them among workers as the config
// wants. With 0 slots a pool stays, without workers. It returns the names that no pool has, sorted.
func (p *Plan) scale(scalings map[string]int) (unknown []string) {
	for _, name := range slices.Sorted(maps.Keys(scalings)) {
		i := slices.IndexFunc(p.Pools, func(pool PoolPlan) bool { return pool.Name == name })
		if i < 0 {
			unknown = append(unknown, name)
			continue
		}
		pool := &p.Pools[i]
		pool.Slots, pool.Origin, pool.Scaled = max(0, scalings[name]), scaledByHand, true
		pool.divide()
	}
	return unknown
}

// poolKey is what makes a pool of one plan and a pool of the next the same. The name does not: the only shared pool "*" becomes "*php" when there is
// another one.
type poolKey struct {
	kind   Kind
	shared bool
	// name is the function of a dedicated pool, the program of a plugin's shared one. Others have none: there is one for each kind.
	name string
}

// key returns what identifies the pool over reloads.
func (p *PoolPlan) key() poolKey {
	switch {
	case !p.Shared:
		return poolKey{kind: p.Kind, name: p.Functions[0].Name}
	case p.Kind == KindPlugin:
		return poolKey{kind: p.Kind, shared: true, name: cmp.Or(p.Named, p.Program)}
	default:
		return poolKey{kind: p.Kind, shared: true}
	}
}
