package demo

import (
	"context"
	"net"
	"strconv"
	"sync"

	"google.golang.org/grpc/test/bufconn"
)

// memory is a network within this process, for bubbles.
type memory struct {
	mu        sync.Mutex
	listeners []*bufconn.Listener
}

// memoryListener is a listener with an address that can be dialled.
type memoryListener struct {
	*bufconn.Listener
	address memoryAddress
}

func (l memoryListener) Addr() net.Addr { return l.address }

// memoryAddress is the number of a listener.
type memoryAddress int

func (memoryAddress) Network() string  { return "bufconn" }
func (a memoryAddress) String() string { return "memory:" + strconv.Itoa(int(a)) }

func (m *memory) listen(context.Context) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lis := bufconn.Listen(64 << 10)
	m.listeners = append(m.listeners, lis)
	return memoryListener{lis, memoryAddress(len(m.listeners) - 1)}, nil
}

func (m *memory) dial(ctx context.Context, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	lis := m.listeners[i]
	m.mu.Unlock()
	return lis.DialContext(ctx)
}
