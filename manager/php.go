package manager

import "errors"

// openPHP makes the host of PHP workers for the interpreter at path.
func (m *Manager) openPHP(string) (phpHost, error) {
	return nil, errors.New("cannot be used: PHP workers are not run yet")
}
