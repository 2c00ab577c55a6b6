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

// keeper writes the suspects into the state directory when they have changed. One
// goroutine does it; it sleeps while nothing changes.
type keeper struct {
	dir    *stateDir
	ledger *ledger
	emit   func(Event)
	lost   bool // the last write failed, which was said

	over chan struct{}
	loop sync.WaitGroup
}

// newKeeper reads what an earlier manager knew, and keeps it from now on. It owns
// the directory. The caller calls close.
func newKeeper(dir *stateDir, l *ledger, emit func(Event)) *keeper {
	k := &keeper{dir: dir, ledger: l, emit: emit, over: make(chan struct{})}
	k.load()
	k.loop.Go(k.run)
	return k
}

// load reads the file. What cannot be understood is put aside for people to look at.
func (k *keeper) load() {
	data, err := k.dir.read(suspectsName)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var known []suspect
	if err == nil {
		known, err = decodeSuspects(data)
	}
	if err != nil {
		aside, failed := k.dir.setAside(suspectsName)
		if failed != nil {
			aside, err = filepath.Join(k.dir.path, suspectsName), errors.Join(err, failed)
		}
		k.emit(StateSetAside{File: aside, Err: err})
		return
	}
	k.ledger.restore(known)
	e := SuspectsRemembered{}
	for _, s := range k.ledger.all() {
		if s.fail {
			e.Quarantined++
		} else {
			e.Suspects++
		}
	}
	if e != (SuspectsRemembered{}) {
		k.emit(e)
	}
}

// run writes after changes, then waits a little for more of them.
func (k *keeper) run() {
	for {
		select {
		case <-k.over:
			k.saveLast()
			return
		case <-k.ledger.changed:
		}
		wait := saveEvery
		if !k.save() {
			wait = saveAgain
			k.ledger.touch()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-k.over:
			timer.Stop()
		}
	}
}

// saveLast writes what has changed since the last write.
func (k *keeper) saveLast() {
	select {
	case <-k.ledger.changed:
		k.save()
	default:
	}
}

// save writes the file and tells whether that worked.
func (k *keeper) save() bool {
	data, err := encodeSuspects(k.ledger.all())
	if err == nil {
		err = k.dir.write(suspectsName, data)
	}
	switch {
	case err != nil && !k.lost:
		k.emit(StateNotKept{Dir: k.dir.path, Err: err})
	case err == nil && k.lost:
		k.emit(StateKept{Dir: k.dir.path})
	}
	k.lost = err != nil
	return err == nil
}

// close writes what has changed and gives the directory up.
func (k *keeper) close() {
	close(k.over)
	k.loop.Wait()
	k.dir.close()
}

// openState opens the state directory, if one is to be used. Only a directory that the
// config names and that another manager has, or that is not safe, is an error: a
// fleet that runs and forgets is better than none.
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
		if ok && m.cfg.Settings.StateDir() != "" && (problem.InUse || problem.Unsafe) {
			return err
		}
		m.emit(StateNotKept{Dir: path, Err: err})
		return nil
	}
	k := newKeeper(dir, m.ledger, m.emit)
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
