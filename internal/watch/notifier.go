package watch

import (
	"github.com/fsnotify/fsnotify"
)

// notifier is what the Watcher needs of inotify. Both channels are closed by Close.
type notifier interface {
	Add(dir string) error
	Remove(dir string) error
	Close() error
	events() <-chan fsnotify.Event
	errors() <-chan error
}

// inotify is the notifier of this system.
type inotify struct{ *fsnotify.Watcher }

// openInotify makes an inotify instance.
func openInotify() (notifier, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return inotify{w}, nil
}

func (i inotify) events() <-chan fsnotify.Event { return i.Events }
func (i inotify) errors() <-chan error          { return i.Errors }
