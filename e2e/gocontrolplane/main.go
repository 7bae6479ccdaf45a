// An ADS server that neither Istio nor proxyless wrote: go-control-plane's snapshot cache on recorded resources.
//
// usage: gocontrolplane FOLDER   (of DiscoveryResponse files)
//
// It prints its port and then obeys lines on its input:
//
//	remove-cluster NAME   takes a cluster away
//	move-endpoint NAME IP moves every endpoint of an assignment
//	bad-cluster NAME      gives a cluster a value that Envoy refuses
//
// and answers each with "ok". NACKs that clients send are printed as "nack TYPE MESSAGE".
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

type everyone struct{}

func (everyone) ID(*corev3.Node) string { return "everyone" }

type state struct {
	version   int
	resources map[resource.Type]map[string]types.Resource
}

func blank(typeURL string) types.Resource {
	switch typeURL {
	case resource.ClusterType:
		return &clusterv3.Cluster{}
	case resource.EndpointType:
		return &endpointv3.ClusterLoadAssignment{}
	case resource.ListenerType:
		return &listenerv3.Listener{}
	case resource.RouteType:
		return &routev3.RouteConfiguration{}
	}
	return nil
}

func load(folder string) (*state, error) {
	loaded := &state{resources: map[resource.Type]map[string]types.Resource{}}
	files, err := filepath.Glob(filepath.Join(folder, "*.pb"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		response := &discovery.DiscoveryResponse{}
		if err := proto.Unmarshal(raw, response); err != nil {
			return nil, err
		}
		for _, packed := range response.Resources {
			message := blank(response.TypeUrl)
			if message == nil {
				continue
			}
			if err := proto.Unmarshal(packed.Value, message); err != nil {
				return nil, err
			}
			if loaded.resources[response.TypeUrl] == nil {
				loaded.resources[response.TypeUrl] = map[string]types.Resource{}
			}
			loaded.resources[response.TypeUrl][cache.GetResourceName(message)] = message
		}
	}
	return loaded, nil
}

func (s *state) publish(snapshots cache.SnapshotCache) error {
	s.version++
	lists := map[resource.Type][]types.Resource{}
	for typeURL, byName := range s.resources {
		for _, message := range byName {
			lists[typeURL] = append(lists[typeURL], message)
		}
	}
	snapshot, err := cache.NewSnapshot(fmt.Sprint(s.version), lists)
	if err != nil {
		return err
	}
	return snapshots.SetSnapshot(context.Background(), "everyone", snapshot)
}

func (s *state) obey(words []string) error {
	clusters := s.resources[resource.ClusterType]
	switch words[0] {
	case "remove-cluster":
		delete(clusters, words[1])
	case "bad-cluster":
		bad := proto.Clone(clusters[words[1]]).(*clusterv3.Cluster)
		bad.ConnectTimeout = durationpb.New(-1)
		clusters[words[1]] = bad
	case "move-endpoint":
		moved := proto.Clone(s.resources[resource.EndpointType][words[1]]).(*endpointv3.ClusterLoadAssignment)
		for _, locality := range moved.Endpoints {
			for _, each := range locality.LbEndpoints {
				each.GetEndpoint().GetAddress().GetSocketAddress().Address = words[2]
			}
		}
		s.resources[resource.EndpointType][words[1]] = moved
	default:
		return fmt.Errorf("unknown order %q", words[0])
	}
	return nil
}

func main() {
	loaded, err := load(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	snapshots := cache.NewSnapshotCache(false, everyone{}, nil)
	if err := loaded.publish(snapshots); err != nil {
		log.Fatal(err)
	}
	callbacks := server.CallbackFuncs{
		StreamRequestFunc: func(_ int64, request *discovery.DiscoveryRequest) error {
			if request.ErrorDetail != nil {
				fmt.Printf("nack %s %s\n", request.TypeUrl, request.ErrorDetail.Message)
			}
			return nil
		},
		StreamDeltaRequestFunc: func(_ int64, request *discovery.DeltaDiscoveryRequest) error {
			if request.ErrorDetail != nil {
				fmt.Printf("nack %s %s\n", request.TypeUrl, request.ErrorDetail.Message)
			}
			return nil
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	serving := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(
		serving, server.NewServer(context.Background(), snapshots, callbacks))
	go func() {
		if err := serving.Serve(listener); err != nil {
			log.Fatal(err)
		}
	}()
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := loaded.obey(strings.Fields(lines.Text())); err != nil {
			log.Fatal(err)
		}
		if err := loaded.publish(snapshots); err != nil {
			log.Fatal(err)
		}
		fmt.Println("ok")
	}
}
