package credentials

import "runtime"

// aside runs work on a thread of its own that gives way to every other: who
// asks for a token or for the keys does not wait for somebody's PIN to be
// hashed. The thread ends with the work; its priority cannot be raised again.
func aside(work func() []byte) []byte {
	done := make(chan []byte, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is thrown away
		giveWay()
		done <- work()
	}()
	return <-done
}
