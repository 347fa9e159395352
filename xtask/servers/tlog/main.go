// Checks what Remint's log publishes, and witnesses it, with the libraries of the Go project and of the transparency.dev
// project: nothing of the code that wrote it.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// What is asked of /check.
type request struct {
	Folder    string   // of the tiles
	Key       string   // of the log
	Witnesses []string // keys of cosigners, all of which have to have signed
	Proofs    []string // tlog-proof texts, their entries as extra data
	Chain     []step   // consistency proofs, ending at the checkpoint of the folder
}

type step struct {
	Old   uint64
	Root  string
	Proof []string
}

type answer struct {
	Entries     int64    `json:"entries"`
	Inclusion   int      `json:"inclusion"`
	Consistency int      `json:"consistency"`
	Cosigned    []string `json:"cosigned"`
}

func check(r request) (*answer, error) {
	verifier, err := note.NewVerifier(r.Key)
	if err != nil {
		return nil, err
	}
	signed, err := os.ReadFile(filepath.Join(r.Folder, "checkpoint"))
	if err != nil {
		return nil, err
	}
	checkpoint, opened, err := open(signed, verifier, r.Witnesses)
	if err != nil {
		return nil, err
	}
	a := &answer{Entries: int64(checkpoint.Size), Cosigned: []string{}}
	for _, s := range opened.Sigs {
		if s.Name != verifier.Name() {
			a.Cosigned = append(a.Cosigned, s.Name)
		}
	}
	if len(a.Cosigned) != len(r.Witnesses) {
		return nil, fmt.Errorf("%d of %d witnesses signed", len(a.Cosigned), len(r.Witnesses))
	}
	var root tlog.Hash
	copy(root[:], checkpoint.Hash)
	size := int64(checkpoint.Size)
	// Every hash that the reader gives was held against the root.
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, folder(r.Folder))
	for first := int64(0); first < size; first += 256 {
		tile := tlog.Tile{H: 8, L: -1, N: first / 256, W: int(min(256, size-first))}
		bytes, err := os.ReadFile(filepath.Join(r.Folder, path(tile)))
		if err != nil {
			return nil, err
		}
		for at := range int64(tile.W) {
			if len(bytes) < 2 || len(bytes) < 2+int(binary.BigEndian.Uint16(bytes)) {
				return nil, fmt.Errorf("%s is cut off", path(tile))
			}
			length := int(binary.BigEndian.Uint16(bytes))
			leaf := tlog.RecordHash(bytes[2 : 2+length])
			bytes = bytes[2+length:]
			proof, err := tlog.ProveRecord(size, first+at, reader)
			if err != nil {
				return nil, err
			}
			if err := tlog.CheckRecord(proof, size, root, first+at, leaf); err != nil {
				return nil, fmt.Errorf("entry %d: %w", first+at, err)
			}
		}
		if len(bytes) > 0 {
			return nil, fmt.Errorf("%s is longer than its entries", path(tile))
		}
	}
	for at, text := range r.Proofs {
		if err := inclusion(text, verifier, r.Witnesses); err != nil {
			return nil, fmt.Errorf("proof %d: %w", at, err)
		}
		a.Inclusion++
	}
	for _, s := range r.Chain {
		var old tlog.Hash
		if err := hash(&old, s.Root); err != nil {
			return nil, err
		}
		proof := make(tlog.TreeProof, len(s.Proof))
		for at, text := range s.Proof {
			if err := hash(&proof[at], text); err != nil {
				return nil, err
			}
		}
		if s.Old > 0 && s.Old < checkpoint.Size {
			if err := tlog.CheckTree(proof, size, root, int64(s.Old), old); err != nil {
				return nil, fmt.Errorf("from %d: %w", s.Old, err)
			}
			a.Consistency++
		}
	}
	return a, nil
}

func open(signed []byte, verifier note.Verifier, witnesses []string) (*log.Checkpoint, *note.Note, error) {
	verifiers := []note.Verifier{verifier}
	for _, key := range witnesses {
		witness, err := fnote.NewVerifierForCosignatureV1(key)
		if err != nil {
			return nil, nil, err
		}
		verifiers = append(verifiers, witness)
	}
	opened, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		return nil, nil, err
	}
	checkpoint, _, _, err := log.ParseCheckpoint(signed, verifier.Name(), verifier, verifiers[1:]...)
	return checkpoint, opened, err
}

func inclusion(text string, verifier note.Verifier, witnesses []string) error {
	head, signed, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("it is no tlog-proof")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	proof := make(tlog.RecordProof, len(lines)-3)
	for at, line := range lines[3:] {
		if err := hash(&proof[at], line); err != nil {
			return err
		}
	}
	checkpoint, _, err := open([]byte(signed), verifier, nil)
	if err != nil {
		return err
	}
	var root tlog.Hash
	copy(root[:], checkpoint.Hash)
	return tlog.CheckRecord(proof, int64(checkpoint.Size), root, index, tlog.RecordHash(entry))
}

func hash(into *tlog.Hash, text string) error {
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err == nil && len(bytes) != len(into) {
		err = errors.New("a hash is not 32 bytes")
	}
	copy(into[:], bytes)
	return err
}

// folder reads tiles where c2sp.org/tlog-tiles has them.
type folder string

func (f folder) Height() int                      { return 8 }
func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		bytes, err := os.ReadFile(filepath.Join(string(f), path(tile)))
		if err != nil {
			return nil, err
		}
		all = append(all, bytes)
	}
	return all, nil
}

func path(tile tlog.Tile) string {
	return strings.Replace(strings.Replace(tile.Path(), "tile/8/", "tile/", 1), "tile/data/", "tile/entries/", 1)
}

// A witness, as c2sp.org/tlog-witness has it, that remembers while it runs.
type witness struct {
	sync.Mutex
	key    string
	signer *fnote.Signer
	logs   map[string]note.Verifier
	seen   map[string]*log.Checkpoint
}

func newWitness() (*witness, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	name := "independent.example"
	public := append([]byte{4}, private.Public().(ed25519.PublicKey)...)
	id := sha256.Sum256(append([]byte(name+"\n"), public...))
	key := fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(public))
	plain := append([]byte{1}, private.Seed()...)
	plainID := sha256.Sum256(append([]byte(name+"\n\x01"), public[1:]...))
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", name, plainID[:4], base64.StdEncoding.EncodeToString(plain))
	signer, err := fnote.NewSignerForCosignatureV1(skey)
	return &witness{key: key, signer: signer, logs: map[string]note.Verifier{}, seen: map[string]*log.Checkpoint{}}, err
}

func (w *witness) add(rw http.ResponseWriter, r *http.Request) {
	w.Lock()
	defer w.Unlock()
	body, err := io.ReadAll(r.Body)
	head, signed, found := bytes.Cut(body, []byte("\n\n"))
	if err != nil || !found {
		http.Error(rw, "no request", 400)
		return
	}
	lines := strings.Split(string(head), "\n")
	old, err := strconv.ParseUint(strings.TrimPrefix(lines[0], "old "), 10, 63)
	if err != nil {
		http.Error(rw, "no old size", 400)
		return
	}
	origin, _, _ := strings.Cut(string(signed), "\n")
	verifier, known := w.logs[origin]
	if !known {
		http.Error(rw, "unknown", 404)
		return
	}
	checkpoint, opened, err := open(signed, verifier, nil)
	if err != nil {
		http.Error(rw, err.Error(), 403)
		return
	}
	seen := w.seen[origin]
	if seen == nil {
		seen = &log.Checkpoint{}
	}
	if old != seen.Size || (old == checkpoint.Size && !bytes.Equal(seen.Hash, checkpoint.Hash)) {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(409)
		fmt.Fprintf(rw, "%d\n", seen.Size)
		return
	}
	var before, after tlog.Hash
	copy(before[:], seen.Hash)
	copy(after[:], checkpoint.Hash)
	proof := make(tlog.TreeProof, len(lines)-1)
	for at, line := range lines[1:] {
		if err := hash(&proof[at], line); err != nil {
			http.Error(rw, err.Error(), 400)
			return
		}
	}
	if old > 0 && old < checkpoint.Size {
		if err := tlog.CheckTree(proof, int64(checkpoint.Size), after, int64(old), before); err != nil {
			http.Error(rw, err.Error(), 422)
			return
		}
	}
	w.seen[origin] = checkpoint
	cosigned, err := note.Sign(&note.Note{Text: opened.Text}, w.signer)
	if err != nil {
		http.Error(rw, err.Error(), 500)
		return
	}
	_, line, _ := bytes.Cut(cosigned, []byte(opened.Text+"\n"))
	rw.Write(line)
}

func main() {
	w, err := newWitness()
	if err != nil {
		panic(err)
	}
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "golang.org/x/mod" {
				version = module.Version
			}
		}
	}
	http.HandleFunc("GET /version", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, version) })
	http.HandleFunc("GET /key", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, w.key) })
	http.HandleFunc("POST /trust", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		verifier, err := note.NewVerifier(string(body))
		if err != nil {
			http.Error(rw, err.Error(), 400)
			return
		}
		w.Lock()
		defer w.Unlock()
		w.logs[verifier.Name()] = verifier
	})
	http.HandleFunc("POST /add-checkpoint", w.add)
	http.HandleFunc("POST /check", func(rw http.ResponseWriter, r *http.Request) {
		var asked request
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(rw, err.Error(), 400)
			return
		}
		a, err := check(asked)
		if err != nil {
			http.Error(rw, err.Error(), 422)
			return
		}
		json.NewEncoder(rw).Encode(a)
	})
	if err := http.ListenAndServe(os.Args[1], nil); err != nil {
		panic(err)
	}
}
