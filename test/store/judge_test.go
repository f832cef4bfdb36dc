package store

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// A recorded run of a store that has no fault: what clients did and were answered, what happened, what a watch heard.
type recorded struct {
	base, end  state
	operations []porcupine.Operation
	all        []change
	heard      []response
}

// changesOf is what a watch is told of one step.
func changesOf(before, after state) []change {
	var changes []change
	for key, was := range before.records {
		if _, there := after.records[key]; !there {
			changes = append(changes, change{revision: after.revision, key: key, deleted: true, before: was})
		}
	}
	for key, is := range after.records {
		if is != before.records[key] {
			changes = append(changes, change{revision: after.revision, key: key, now: is, before: before.records[key]})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return len(a.key) - len(b.key) })
	return changes
}

func record(random *rand.Rand) *recorded {
	s := state{1, map[string]entry{}}
	r := &recorded{base: s}
	for i := range 40 {
		a := action{kind: []string{"put", "put", "pair", "cas", "delete", "read"}[random.Intn(6)],
			key: fmt.Sprint("k", random.Intn(3)), value: fmt.Sprint(i)}
		if a.kind == "cas" {
			a.expected = []int64{0, s.records[a.key].mod}[random.Intn(2)]
		}
		next := a.applied(s)
		answer := result{revision: next.revision, previous: s.records[a.key], records: maps.Clone(s.records)}
		answer.succeeded = a.kind == "cas" && answer.previous.mod == a.expected
		if answer.succeeded {
			answer.previous = entry{}
		}
		// Each takes effect at its own moment, and overlaps with those of others.
		at := int64(100 * i)
		r.operations = append(r.operations, porcupine.Operation{ClientId: i % clients, Input: a, Output: answer,
			Call: at - random.Int63n(90), Return: at + random.Int63n(90)})
		if told := changesOf(s, next); len(told) > 0 {
			r.all = append(r.all, told...)
			r.heard = append(r.heard, response{changes: told}, response{notice: next.revision})
		}
		s = next
	}
	r.end = s
	r.operations = append(r.operations, porcupine.Operation{ClientId: clients, Input: action{kind: "read"},
		Output: result{revision: s.revision, records: s.records}, Call: 100_000, Return: 100_001})
	return r
}

func (r *recorded) judged() error {
	if err := judgeAnswers(r.base, r.operations); err != nil {
		return err
	}
	end, err := replay(r.base, r.all, func(state) {})
	if err != nil {
		return err
	}
	if end.revision != r.end.revision || !maps.Equal(end.records, r.end.records) {
		return fmt.Errorf("the history ends in %v, and read is %v", end, r.end)
	}
	return judgeHeard(r.heard, r.all)
}

// before is the state that the operation at `i` found.
func (r *recorded) before(i int) state {
	s := r.base
	for _, o := range r.operations[:i] {
		s = o.Input.(action).applied(s)
	}
	return s
}

// Of the operations that `of` wants one is changed by `plant`. Whether there was one.
func (r *recorded) plant(random *rand.Rand, of func(action, result) bool, plant func(*porcupine.Operation, *result)) bool {
	for _, i := range random.Perm(len(r.operations) - 1) {
		answer := r.operations[i].Output.(result)
		if of(r.operations[i].Input.(action), answer) {
			plant(&r.operations[i], &answer)
			r.operations[i].Output = answer
			return true
		}
	}
	return false
}

func isOf(kinds ...string) func(action, result) bool {
	return func(a action, _ result) bool { return slices.Contains(kinds, a.kind) }
}

// told is the index of a response with changes, not the last.
func (r *recorded) told(random *rand.Rand) int {
	return 2 * random.Intn(len(r.heard)/2-1)
}

// The judge of test/store is worth its trust: it accepts what a store without a fault does, and none of these.
func TestTheJudgeFindsEachPlantedFault(t *testing.T) {
	const runs = 20
	for name, plant := range map[string]func(r *recorded, random *rand.Rand) bool{
		"an acknowledged write is lost": func(r *recorded, random *rand.Rand) bool {
			last := len(r.operations) - 1
			write := last - 1
			for r.before(write).revision == r.end.revision {
				write--
			}
			left := r.before(write)
			r.operations[last].Output = result{revision: left.revision, records: left.records}
			return true
		},
		"a write is acknowledged before its commit, and a read then doesn't see it": func(r *recorded, random *rand.Rand) bool {
			for i := 1; i < len(r.operations)-1; i++ {
				write, read := &r.operations[i-1], &r.operations[i]
				if write.Input.(action).kind == "put" && read.Input.(action).kind == "read" {
					write.Call, write.Return = read.Call-2, read.Call-1
					missed := r.before(i - 1)
					read.Output = result{revision: missed.revision, records: missed.records}
					return true
				}
			}
			return false
		},
		"a revision is used twice": func(r *recorded, random *rand.Rand) bool {
			return r.plant(random, isOf("put", "pair"), func(_ *porcupine.Operation, answer *result) { answer.revision-- })
		},
		"a revision is skipped": func(r *recorded, random *rand.Rand) bool {
			return r.plant(random, isOf("put", "pair"), func(_ *porcupine.Operation, answer *result) { answer.revision++ })
		},
		"a comparison succeeds that doesn't hold": func(r *recorded, random *rand.Rand) bool {
			return r.plant(random, func(a action, answer result) bool { return a.kind == "cas" && !answer.succeeded },
				func(_ *porcupine.Operation, answer *result) { answer.succeeded = true })
		},
		"a comparison that failed tells another revision": func(r *recorded, random *rand.Rand) bool {
			return r.plant(random, func(a action, answer result) bool { return a.kind == "cas" && !answer.succeeded },
				func(_ *porcupine.Operation, answer *result) { answer.previous.mod++ })
		},
		"a read is older than what was answered before it": func(r *recorded, random *rand.Rand) bool {
			last := &r.operations[len(r.operations)-1]
			last.Output = result{revision: r.base.revision, records: r.base.records}
			return true
		},
		"a read lacks a key": func(r *recorded, random *rand.Rand) bool {
			return r.plant(random, func(a action, answer result) bool { return a.kind == "read" && len(answer.records) > 0 },
				func(_ *porcupine.Operation, answer *result) {
					delete(answer.records, slices.Sorted(maps.Keys(answer.records))[0])
				})
		},
		"an answer has another version": func(r *recorded, random *rand.Rand) bool {
			return r.plant(random, func(a action, answer result) bool { return a.kind == "put" && answer.previous.ver > 0 },
				func(_ *porcupine.Operation, answer *result) { answer.previous.ver++ })
		},
		"half a transaction happens": func(r *recorded, random *rand.Rand) bool {
			for i := 1; i < len(r.all); i++ {
				if r.all[i].revision == r.all[i-1].revision {
					r.all = slices.Delete(r.all, i, i+1)
					return true
				}
			}
			return false
		},
		"the history has one revision twice": func(r *recorded, random *rand.Rand) bool {
			at := 1 + random.Intn(len(r.all)-1)
			r.all[at].revision = r.all[at-1].revision - 1
			return true
		},
		"the history tells another value of before": func(r *recorded, random *rand.Rand) bool {
			r.all[random.Intn(len(r.all))].before.value = "another"
			return true
		},
		"the history tells another create revision": func(r *recorded, random *rand.Rand) bool {
			r.all[random.Intn(len(r.all))].now.create++
			return true
		},
		"a watch skips an event": func(r *recorded, random *rand.Rand) bool {
			at := r.told(random)
			r.heard = slices.Delete(r.heard, at, at+1)
			return true
		},
		"a watch skips the last event, and says that it has come so far": func(r *recorded, random *rand.Rand) bool {
			r.heard = slices.Delete(r.heard, len(r.heard)-2, len(r.heard)-1)
			return true
		},
		"a watch swaps two events": func(r *recorded, random *rand.Rand) bool {
			at := r.told(random)
			r.heard[at], r.heard[at+2] = r.heard[at+2], r.heard[at]
			return true
		},
		"a watch tells an event twice": func(r *recorded, random *rand.Rand) bool {
			at := r.told(random)
			r.heard = slices.Insert(r.heard, at, r.heard[at])
			return true
		},
		"a watch tells of what never was": func(r *recorded, random *rand.Rand) bool {
			r.heard = append(r.heard, response{changes: []change{{revision: r.end.revision + 1, key: "k0"}}})
			return true
		},
		"a watch tells a revision in two parts": func(r *recorded, random *rand.Rand) bool {
			for i, told := range r.heard {
				if len(told.changes) == 2 {
					r.heard[i].changes = told.changes[:1]
					r.heard = slices.Insert(r.heard, i+1, response{changes: told.changes[1:]})
					return true
				}
			}
			return false
		},
		"a notice comes before what it covers": func(r *recorded, random *rand.Rand) bool {
			r.heard[r.told(random)+1].notice++
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			planted := 0
			for seed := range int64(runs) {
				random := rand.New(rand.NewSource(seed))
				r := record(random)
				if err := r.judged(); err != nil {
					t.Fatalf("seed %d: a run without a fault: %v", seed, err)
				}
				if !plant(r, random) {
					continue
				}
				planted++
				if r.judged() == nil {
					t.Errorf("seed %d: it isn't found", seed)
				}
			}
			if planted < runs/2 {
				t.Errorf("planted in %d of %d runs only", planted, runs)
			}
		})
	}
}
