package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// audit writes down what ServiceAccounts do, but for those of the controllers: who may do it, and by which rule.
const audit = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, userGroups: ["system:serviceaccounts:kube-system"]}
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: None}
`

// serve runs etcd in this process and the two others as children, until it is told to end. A child that ends is started
// again, so that a test may kill the API server and see it come back.
func serve(folder, port string) error {
	// The children are told to die with the thread that started them.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	issuer, err := newAuthority(folder)
	if err != nil {
		return err
	}
	server := "https://127.0.0.1:" + port
	for _, one := range [][3]string{
		{"server", "kube-apiserver", "throw-away"},
		{"admin", "admin", "system:masters"},
		{"controllers", "system:kube-controller-manager", "throw-away"},
	} {
		if err := errors.Join(issuer.issue(one[0], one[1], one[2]), issuer.kubeconfig(one[0], server)); err != nil {
			return err
		}
	}
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(folder, name) }
	if err := errors.Join(
		os.WriteFile(in("token"), []byte(fmt.Sprintf("%x", token)), 0o600),
		os.WriteFile(in("tokens.csv"), []byte(fmt.Sprintf("%x,admin,1,system:masters\n", token)), 0o600),
		os.WriteFile(in("audit.yaml"), []byte(audit), 0o600),
	); err != nil {
		return err
	}
	store, endpoint, err := etcd(folder)
	if err != nil {
		return err
	}
	defer store.Close()

	children := make(chan child)
	start := func(one child) error { return one.start(folder, children) }
	if err := start(child{name: "apiserver", arguments: []string{
		"--etcd-servers=" + endpoint,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + port,
		"--tls-cert-file=" + in("server.crt"), "--tls-private-key-file=" + in("server.key"),
		"--client-ca-file=" + in("ca.crt"), "--token-auth-file=" + in("tokens.csv"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=" + in("sa.key"), "--service-account-key-file=" + in("sa.key"),
		"--authorization-mode=Node,RBAC",
		// Webhooks that are named by a Service are asked at its EndpointSlice: there is no node that would carry them there.
		"--enable-aggregator-routing=true",
		"--audit-policy-file=" + in("audit.yaml"), "--audit-log-path=" + in("audit.log"),
	}}); err != nil {
		return err
	}
	version, err := answers(ctx, server, in)
	if err != nil {
		return err
	}
	if err := start(child{name: "controllers", arguments: []string{
		"--kubeconfig=" + in("controllers.kubeconfig"), "--bind-address=127.0.0.1", "--secure-port=0",
		"--leader-elect=false", "--use-service-account-credentials=true",
		"--service-account-private-key-file=" + in("sa.key"), "--root-ca-file=" + in("ca.crt"),
		"--cluster-signing-cert-file=" + in("ca.crt"), "--cluster-signing-key-file=" + in("ca.key"),
	}}); err != nil {
		return err
	}
	running := 2
	if err := os.WriteFile(in("ready"), []byte(server+" "+version), 0o600); err != nil {
		return err
	}
	for running > 0 {
		// A received child has ended.
		ended := <-children
		if ctx.Err() != nil {
			running--
			continue
		}
		time.Sleep(200 * time.Millisecond)
		if err := start(ended); err != nil {
			return err
		}
	}
	return nil
}

// etcd starts one in this process, on a port of its own choice, which loses data when the machine stops.
func etcd(folder string) (*embed.Etcd, string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	client := url.URL{Scheme: "http", Host: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		return nil, "", err
	}
	config := embed.NewConfig()
	config.Dir = filepath.Join(folder, "etcd")
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	peer := url.URL{Scheme: "unix", Host: filepath.Join(folder, "peer")}
	config.ListenPeerUrls = []url.URL{peer}
	started, err := embed.StartEtcd(config)
	if err != nil {
		return nil, "", err
	}
	select {
	case <-started.Server.ReadyNotify():
		return started, client.String(), nil
	case err := <-started.Err():
		return nil, "", err
	case <-time.After(time.Minute):
		started.Close()
		return nil, "", errors.New("etcd is not ready after a minute")
	}
}

// child is this program with another verb.
type child struct {
	name      string
	arguments []string
}

// start runs it, with its process id in name.pid and its words in name.log; it is sent to ended when it ends. It is told to
// end when this process is, and dies with it in any case.
func (c child) start(folder string, ended chan<- child) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(folder, c.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	command := exec.Command(program, append([]string{c.name}, c.arguments...)...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return err
	}
	id := fmt.Sprint(command.Process.Pid)
	if err := os.WriteFile(filepath.Join(folder, c.name+".pid"), []byte(id), 0o600); err != nil {
		return err
	}
	over := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(over)
		_ = log.Close()
		ended <- c
	}()
	go func() {
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
		defer signal.Stop(told)
		select {
		case <-told:
			// What it would still finish nobody wants.
			_ = command.Process.Kill()
		case <-over:
		}
	}()
	return nil
}

// answers waits until the API server says that it is ready, and which version it is.
func answers(ctx context.Context, server string, in func(string) string) (string, error) {
	authority, err := os.ReadFile(in("ca.crt"))
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	pair, err := tls.LoadX509KeyPair(in("admin.crt"), in("admin.key"))
	if err != nil {
		return "", err
	}
	client := http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		},
	}
	for ctx.Err() == nil {
		if _, err := get(client, server+"/readyz"); err == nil {
			var said struct{ GitVersion string }
			body, err := get(client, server+"/version")
			if err == nil {
				err = json.Unmarshal(body, &said)
			}
			return said.GitVersion, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", ctx.Err()
}

func get(client http.Client, url string) ([]byte, error) {
	answer, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	return body, err
}
