package manager

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// saveEvery is how often suspects are written at most.
	saveEvery = time.Second
	// saveAgain is how long a failed write waits for the next try.
	saveAgain = time.Minute
)

// stateFile is a file in the state directory, and what it is of.
type stateFile struct {
	name    string
	changed <-chan struct{} // gets a value after changes
	encode  func() ([]byte, error)
	// restore takes over what is in the file, and returns what there is to say of that,
	// nil for nothing.
	restore func(data []byte) (Event, error)
	dirty   bool // it has changed and was not written since
}

// look notes whether it has changed.
func (f *stateFile) look() {
	select {
	case <-f.changed:
		f.dirty = true
	default:
	}
}

// keeper writes the suspects, and what operators have set, into the state directory
// when they have changed. One goroutine does it; it sleeps while nothing changes.
type keeper struct {
	dir      *stateDir
	suspects stateFile
	controls stateFile
	emit     func(Event)
	lost     bool // the last write failed, which was said

	over chan struct{}
	loop sync.WaitGroup
}

// newKeeper reads what an earlier manager knew, and keeps it from now on. It owns
// the directory. The caller calls close.
func newKeeper(dir *stateDir, l *ledger, c *controls, emit func(Event)) *keeper {
	k := &keeper{
		dir: dir, emit: emit, over: make(chan struct{}),
		suspects: stateFile{
			name: suspectsName, changed: l.changed, restore: l.load,
			encode: func() ([]byte, error) { return encodeSuspects(l.all()) },
		},
		controls: stateFile{name: controlsName, changed: c.changed, restore: c.load, encode: c.encode},
	}
	k.load(&k.suspects)
	k.load(&k.controls)
	k.loop.Go(k.run)
	return k
}

// load reads a file. What cannot be understood is put aside for people to look at.
func (k *keeper) load(f *stateFile) {
	data, err := k.dir.read(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var remembered Event
	if err == nil {
		remembered, err = f.restore(data)
	}
	if err != nil {
		aside, failed := k.dir.setAside(f.name)
		if failed != nil {
			aside, err = filepath.Join(k.dir.path, f.name), errors.Join(err, failed)
		}
		k.emit(StateSetAside{File: aside, Err: err})
		return
	}
	if remembered != nil {
		k.emit(remembered)
	}
}

// load takes over the suspects of a file.
func (l *ledger) load(data []byte) (Event, error) {
	known, err := decodeSuspects(data)
	if err != nil {
		return nil, err
	}
	l.restore(known)
	e := SuspectsRemembered{}
	for _, s := range l.all() {
		if s.fail {
			e.Quarantined++
		} else {
			e.Suspects++
		}
	}
	if e == (SuspectsRemembered{}) {
		return nil, nil //nolint:nilnil // there is nothing to say
	}
	return e, nil
}

// run writes after changes, then waits a little for more of them.
func (k *keeper) run() {
	for k.wait() {
		wait := saveEvery
		if !k.save() {
			wait = saveAgain
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-k.over:
			timer.Stop()
		}
	}
	k.save()
}

// wait waits until there is something to write, and returns false when it is over.
func (k *keeper) wait() bool {
	select {
	case <-k.over:
		return false
	default:
	}
	if k.suspects.dirty || k.controls.dirty {
		return true
	}
	select {
	case <-k.over:
		return false
	case <-k.suspects.changed:
		k.suspects.dirty = true
	case <-k.controls.changed:
		k.controls.dirty = true
	}
	return true
}

// save writes the files that have changed, and tells whether that worked.
func (k *keeper) save() bool {
	var errs []error
	written := false
	for _, f := range []*stateFile{&k.suspects, &k.controls} {
		f.look()
		if !f.dirty {
			continue
		}
		data, err := f.encode()
		if err == nil {
			err = k.dir.write(f.name, data)
		}
		f.dirty, written = err != nil, true
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	switch {
	case err != nil && !k.lost:
		k.emit(StateNotKept{Dir: k.dir.path, Err: err})
	case err == nil && k.lost && written:
		k.emit(StateKept{Dir: k.dir.path})
	}
	if written {
		k.lost = err != nil
	}
	return err == nil
}

// close writes what has changed and gives the directory up.
func (k *keeper) close() {
	close(k.over)
	k.loop.Wait()
	k.dir.close()
}

// openState opens the state directory, if one is to be used. One that another manager has
// is an error, also where it was chosen: it belongs to this config, which is started
// twice. So is one that the config names and that is not safe. Otherwise a fleet that
// runs and forgets is better than none.
func (m *Manager) openState() error {
	path, err := m.statePath()
	if path == "" && err == nil {
		return nil
	}
	var dir *stateDir
	if err == nil {
		dir, err = openStateDir(path)
	}
	if err != nil {
		problem, ok := errors.AsType[*StateDirError](err)
		if ok && (problem.InUse || m.cfg.Settings.StateDir() != "" && problem.Unsafe) {
			return err
		}
		m.emit(StateNotKept{Dir: path, Err: err})
		return nil
	}
	k := newKeeper(dir, m.ledger, m.controls, m.emit)
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.stopping:
		k.close()
	default:
		m.keeper = k
	}
	return nil
}

// statePath is the directory to use, empty for none.
func (m *Manager) statePath() (string, error) {
	if dir := m.cfg.Settings.StateDir(); dir != "" || !m.cfg.KeepState {
		return dir, nil
	}
	return chooseStateDir(m.cfg.Settings, os.Geteuid(), os.Getenv)
}

// closeState writes the state for the last time.
func (m *Manager) closeState() {
	m.mu.Lock()
	k := m.keeper
	m.keeper = nil
	m.mu.Unlock()
	if k != nil {
		k.close()
	}
}
