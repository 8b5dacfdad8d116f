// A custom runtime for another machine: says what it runs on, and starts programs of its own kind.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

type event struct {
	Do string `json:"do"`
}

func output(name string, words ...string) string {
	text, err := exec.Command(name, words...).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// Many threads that allocate and wait for each other, as a busy function's would.
func parallel() int {
	var group sync.WaitGroup
	var lock sync.Mutex
	total := 0
	for worker := 0; worker < 32; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			text := bytes.Repeat([]byte("x"), 100_000)
			lock.Lock()
			defer lock.Unlock()
			total += len(text)
		}()
	}
	group.Wait()
	return total
}

func answer(asked event) any {
	self, _ := os.Executable()
	switch asked.Do {
	case "child":
		return []string{output(self, "child"), output("/proc/self/exe", "child")}
	case "script":
		return output("/var/task/script", "word")
	case "parallel":
		return parallel()
	case "confined":
		return []string{
			fmt.Sprint(syscall.Unshare(syscall.CLONE_NEWUSER)),
			fmt.Sprint(syscall.Mount("none", "/tmp", "binfmt_misc", 0, "")),
			fmt.Sprint(os.WriteFile("/var/emulator", nil, 0o755)),
			fmt.Sprint(os.WriteFile("/proc/sys/fs/binfmt_misc/register", nil, 0o200)),
		}
	case "exit":
		os.Exit(3)
	}
	return map[string]any{"machine": runtime.GOARCH, "words": os.Args, "uid": os.Getuid(), "handler": os.Getenv("_HANDLER")}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		fmt.Println(runtime.GOARCH, strings.Join(os.Args[1:], " "))
		return
	}
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			os.Exit(1)
		}
		var asked event
		body, _ := io.ReadAll(next.Body)
		next.Body.Close()
		json.Unmarshal(body, &asked)
		text, _ := json.Marshal(answer(asked))
		told, err := http.Post(api+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", bytes.NewReader(text))
		if err != nil {
			os.Exit(1)
		}
		told.Body.Close()
	}
}
