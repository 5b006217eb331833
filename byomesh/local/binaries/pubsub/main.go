// Command pubsub serves Google's in-memory Pub/Sub, pstest, on a loopback address.
//
// It prints its address as one line, and exits when its parent dies or closes the pipe on its standard input.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"

	"cloud.google.com/go/pubsub/v2/pstest"
	"golang.org/x/sys/unix"
)

func main() {
	address := flag.String("address", "127.0.0.1:0", "loopback host:port to listen on; port 0 takes a free one")
	flag.Parse()
	if err := run(*address); err != nil {
		fmt.Fprintln(os.Stderr, "pubsub:", err)
		os.Exit(1)
	}
}

func run(address string) error {
	if err := onlyLoopback(address); err != nil {
		return err
	}
	server, err := listen(address)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	fmt.Println(server.Addr)

	done := make(chan os.Signal, 1)
	signal.Notify(done, unix.SIGINT, unix.SIGTERM)
	if isPipe(os.Stdin) {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			done <- unix.SIGTERM
		}()
	}
	<-done
	return nil
}

// listen makes an error of the panic with which pstest answers an address in use.
func listen(address string) (server *pstest.Server, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("cannot listen on %s: %v", address, cause)
		}
	}()
	return pstest.NewServerWithAddress(address), nil
}

// onlyLoopback refuses an address that others on the network could reach: pstest knows no callers.
func onlyLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("-address must be host:port, not %q: %w", address, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("-address must be a loopback IP such as 127.0.0.1, not %q", host)
	}
	return nil
}

// isPipe tells a parent's pipe from a terminal, a file or /dev/null, whose end says nothing about the parent.
func isPipe(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}
