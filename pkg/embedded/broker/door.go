package broker

import (
	"context"
	"net"
	"sync"
)

// door is where clients connect. It stays open while one kfake follows another: who comes meanwhile waits.
type door struct {
	listener net.Listener
	conns    chan net.Conn
	closed   chan struct{}
	done     chan struct{}
}

func openDoor(address string) (*door, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	d := &door{listener: l, conns: make(chan net.Conn), closed: make(chan struct{}), done: make(chan struct{})}
	go d.run()
	return d, nil
}

func (d *door) run() {
	defer close(d.done)
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		select {
		case d.conns <- conn:
		case <-d.closed:
			_ = conn.Close() // nobody will answer
			return
		}
	}
}

func (d *door) close() error {
	close(d.closed)
	err := d.listener.Close()
	<-d.done
	return err
}

// listen returns a listener that can be closed without the door.
func (d *door) listen(string, string) (net.Listener, error) {
	return &watch{door: d, over: make(chan struct{})}, nil
}

// watch is one kfake's turn at the door.
type watch struct {
	door *door
	once sync.Once
	over chan struct{}
}

func (w *watch) Accept() (net.Conn, error) {
	select {
	case conn := <-w.door.conns:
		return conn, nil
	case <-w.over:
	case <-w.door.closed:
	}
	return nil, net.ErrClosed
}

func (w *watch) Close() error {
	w.once.Do(func() { close(w.over) })
	return nil
}

func (w *watch) Addr() net.Addr { return w.door.listener.Addr() }
