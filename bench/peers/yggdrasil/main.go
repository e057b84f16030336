// A Yggdrasil node of Yggdrasil's own packages (core, TUN), less its command's admin socket, multicast and sandboxing:
// what carries packets is theirs, and needs fewer modules to build.
//
// Prints its IPv6 address; runs until it is killed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/gologme/log"
	"github.com/yggdrasil-network/yggdrasil-go/src/config"
	"github.com/yggdrasil-network/yggdrasil-go/src/core"
	"github.com/yggdrasil-network/yggdrasil-go/src/ipv6rwc"
	"github.com/yggdrasil-network/yggdrasil-go/src/tun"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	listen := flag.String("listen", "", "URI to take peers at, such as tcp://10.0.0.1:9001")
	peer := flag.String("peer", "", "URI of a peer to keep a link to")
	carry := flag.Bool("tun", false, "bring up a TUN interface, through which this host sends and receives")
	flag.Parse()

	settings := config.GenerateConfig()
	logger := log.New(io.Discard, "", 0)
	var options []core.SetupOption
	if *listen != "" {
		options = append(options, core.ListenAddress(*listen))
	}
	if *peer != "" {
		options = append(options, core.Peer{URI: *peer})
	}
	node, err := core.New(settings.Certificate, logger, options...)
	if err != nil {
		fail(err)
	}
	if *carry {
		name, mtu := tun.InterfaceName("ygg0"), tun.InterfaceMTU(settings.IfMTU)
		if _, err := tun.New(ipv6rwc.NewReadWriteCloser(node), logger, name, mtu); err != nil {
			fail(err)
		}
	}
	fmt.Println(node.Address().String())
	select {}
}
