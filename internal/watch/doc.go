// Package watch hints that files may have changed.
//
// A [Watcher] is given paths and globs, and says on a channel that one of them may be different now: quickly where the kernel notifies, within
// [Config.Rescan] where it does not. A hint is not proof. Whoever receives it compares what there is with what there was; a touched file, or two
// changes that cancel each other, are hints as well.
//
// # What is watched
//
// Directories, never files: an editor, cp, mv and rsync each replace a file in a way of their own, and all of them change its directory.
//
//   - A path that names a file: its directory, for that name. Other files in it do not count.
//   - A path that names a directory: its entries, but for names that begin with a dot and for what editors leave lying about (4913, *~, *.swp and the like).
//     An entry that is a symbolic link is followed to the file.
//   - A glob, as of [path/filepath.Match] in each component, "**" being the same as "*": the directories that a match can appear in, for the names that match.
//     A match that is a directory is not looked into.
//   - A path or part of a glob that is not there: the deepest directory that is, for the next name on the way.
//   - On the way to each of them every directory, for the one name that leads on. So a symbolic link anywhere in the path may be switched, or a directory
//     be moved away and another one in its place, and links may lead to links.
//
// The directories that this makes are worked out anew before each Change is sent, and as often as it takes until none is added: what happened before a
// directory was watched is seen by whoever receives the Change, what happens later is the next one. A [Watcher.Set] that adds directories is followed by
// a Change for the same reason.
//
// # When
//
// The first event that counts begins a burst. A Change is sent when nothing has happened for [Config.Quiet], and at the latest [Config.Longest] after the burst
// began. If the receiver is slow, Changes are merged. When events were lost, since more came than the kernel would queue, a Change is sent at once.
//
//	      event                    Quiet without an event, or Longest
//	idle ------> burst (event: Quiet begins again) ------> resolve, Change ------> idle
//	idle ------> resolve, Change with Rescan ------> idle       every Config.Rescan
//
// # Without notifications
//
// The kernel's tables are limited per user, and some systems have none. Then [Watcher.Polling] says why in words for operators, [Config.OnProblem] is called
// once, what could be watched is, and everything else is left to the rescans; each of them tries again. Changes that another host makes on a network file
// system are never notified, and are found by a rescan as well.
package watch
