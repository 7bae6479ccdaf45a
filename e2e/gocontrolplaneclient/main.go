// An ADS client made of go-control-plane: its own client for state of the world, its messages for delta. It acknowledges
// what it can parse and prints one line of JSON for each response.
//
// Usage: gocontrolplaneclient ADDRESS sotw|delta TYPE_URL [NAME...]
// Its input, delta only: "subscribe NAME", "unsubscribe NAME". "nack TEXT" refuses the next response, in both.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"os"
	"strings"
	"sync"

	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/client/sotw/v3"
	status "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Line is what is printed for a response.
type Line struct {
	Resources []string `json:"resources"`
	Removed   []string `json:"removed"`
	Acked     bool     `json:"acked"`
}

var (
	mutex   sync.Mutex
	refusal string
)

func main() {
	address, variant, typeURL := os.Args[1], os.Args[2], os.Args[3]
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<28)))
	check(err)
	fields, err := structpb.NewStruct(map[string]any{"NAMESPACE": "shop", "CLUSTER_ID": "Kubernetes"})
	check(err)
	node := &core.Node{Id: "sidecar~127.0.10.1~frontend-v1-0.shop~shop.svc.cluster.local", Metadata: fields}
	if variant == "sotw" {
		stateOfTheWorld(connection, node, typeURL)
	} else {
		incremental(connection, node, typeURL, os.Args[4:])
	}
}

func stateOfTheWorld(connection *grpc.ClientConn, node *core.Node, typeURL string) {
	client := sotw.NewADSClient(context.Background(), node, typeURL)
	check(client.InitConnect(connection))
	go orders(func(string, string) {})
	for {
		response, err := client.Fetch()
		check(err)
		line := Line{Resources: names(response.Resources), Removed: []string{}}
		if text := refused(); text != "" {
			check(client.Nack(text))
		} else {
			check(client.Ack())
			line.Acked = true
		}
		say(line)
	}
}

func incremental(connection *grpc.ClientConn, node *core.Node, typeURL string, wanted []string) {
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(connection).DeltaAggregatedResources(context.Background())
	check(err)
	var sending sync.Mutex
	send := func(request *discovery.DeltaDiscoveryRequest) {
		sending.Lock()
		defer sending.Unlock()
		request.TypeUrl = typeURL
		check(stream.Send(request))
	}
	send(&discovery.DeltaDiscoveryRequest{Node: node, ResourceNamesSubscribe: wanted})
	go orders(func(order, name string) {
		if order == "subscribe" {
			send(&discovery.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{name}})
		} else {
			send(&discovery.DeltaDiscoveryRequest{ResourceNamesUnsubscribe: []string{name}})
		}
	})
	for {
		response, err := stream.Recv()
		check(err)
		packed := make([]*anypb.Any, 0, len(response.Resources))
		for _, each := range response.Resources {
			packed = append(packed, each.Resource)
		}
		line := Line{Resources: names(packed), Removed: append([]string{}, response.RemovedResources...)}
		request := &discovery.DeltaDiscoveryRequest{ResponseNonce: response.Nonce}
		if text := refused(); text != "" {
			request.ErrorDetail = &status.Status{Code: 3, Message: text}
		} else {
			line.Acked = true
		}
		send(request)
		say(line)
	}
}

// names parses every resource as go-control-plane knows it.
func names(resources []*anypb.Any) []string {
	out := make([]string, 0, len(resources))
	for _, each := range resources {
		message, err := each.UnmarshalNew()
		check(err)
		resource, ok := message.(types.Resource)
		if !ok {
			log.Fatalf("%s is no resource", each.TypeUrl)
		}
		out = append(out, cache.GetResourceName(resource))
	}
	return out
}

func orders(subscription func(order, name string)) {
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		order, rest, _ := strings.Cut(input.Text(), " ")
		if order == "nack" {
			mutex.Lock()
			refusal = rest
			mutex.Unlock()
		} else {
			subscription(order, rest)
		}
	}
	os.Exit(0)
}

func refused() string {
	mutex.Lock()
	defer mutex.Unlock()
	text := refusal
	refusal = ""
	return text
}

func say(line Line) {
	check(json.NewEncoder(os.Stdout).Encode(line))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
