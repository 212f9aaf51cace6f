package simulate

import "time"

// seer knows what is left of each quota, and sends no more than that, less what
// is on its way, which it sees arrive.
type seer struct {
	env  Env
	out  map[bucketName]int64
	rest map[bucketName]*queued
	// blocked is where jobs wait, in the order in which that was first needed.
	blocked []*queued
	// arrivals are what is on its way to the upstream.
	arrivals queue
	wake     time.Time
	// shut is until when it sends nothing after a refusal; refused says that the
	// last answer was one.
	shut    time.Time
	refused bool
}

// queued is the jobs that wait for one bucket.
type queued struct {
	jobs  []*Job
	until time.Time
}

func newSeer(e Env) (Strategy, error) {
	return &seer{env: e, out: make(map[bucketName]int64), rest: make(map[bucketName]*queued)}, nil
}

func (s *seer) Want(now time.Time, j *Job) { s.try(now, j) }
func (s *seer) Wake(time.Time) time.Time   { return s.wake }
func (s *seer) Dropped(time.Time, *Job)    {}

// Heard tries a refused job again after a while, as a probe.
func (s *seer) Heard(now time.Time, j *Job, r Reply) {
	if s.refused = !r.Served(); s.refused {
		s.shut = now.Add(2 * time.Second)
		s.wait(bucketName{}, s.shut, j)
	}
}

// try sends a job, or lets it wait for the bucket that has no room.
func (s *seer) try(now time.Time, j *Job) bool {
	if !j.Deadline.IsZero() && !now.Before(j.Deadline) {
		return true // its caller is gone
	}
	if now.Before(s.shut) {
		s.wait(bucketName{}, s.shut, j)
		return false
	}
	j.Probe = s.refused
	rooms := s.env.Rooms(j.Call, now)
	for i, room := range rooms {
		name := bucketName{room.Limit, room.Key}
		if s.out[name]+costOf(j, i) > room.Left {
			until := room.Until
			if !until.After(now) {
				until = now.Add(time.Second) // what is on its way closes it
			}
			s.wait(name, until, j)
			return false
		}
	}
	s.env.Send(j)
	if f := j.fate; !f.diesBefore && !f.drops {
		e := event{at: now.Add(f.wait+f.request).UnixNano() + 1, job: j}
		s.arrivals.push(e)
		s.alarm(instant(e.at))
		for i, room := range rooms {
			s.out[bucketName{room.Limit, room.Key}] += costOf(j, i)
		}
	}
	return true
}

// costOf is what a job takes of the i-th of its buckets.
func costOf(j *Job, i int) int64 {
	return j.buckets[i].rule.cost(Request{Call: j.Call, Cost: j.truth, Free: j.free})
}

func (s *seer) wait(name bucketName, until time.Time, j *Job) {
	q := s.rest[name]
	if q == nil {
		q = &queued{}
		s.rest[name] = q
		s.blocked = append(s.blocked, q)
	}
	q.jobs = append(q.jobs, j)
	q.until = until
	s.alarm(until)
}

// alarm wakes it no later than at an instant.
func (s *seer) alarm(at time.Time) {
	if s.wake.IsZero() || at.Before(s.wake) {
		s.wake = at
	}
}

// serve tries the jobs that wait for a bucket until one must wait for it again.
func (s *seer) serve(now time.Time, q *queued) {
	for n := len(q.jobs); n > 0; n-- {
		j := q.jobs[0]
		q.jobs = q.jobs[1:]
		if !s.try(now, j) && len(q.jobs) >= n && q.jobs[len(q.jobs)-1] == j {
			q.jobs = append([]*Job{j}, q.jobs[:len(q.jobs)-1]...)
			return
		}
	}
}

func (s *seer) Advance(now time.Time) {
	s.wake = time.Time{}
	for at, ok := s.arrivals.next(); ok && at <= now.UnixNano(); at, ok = s.arrivals.next() {
		j := s.arrivals.pop().job
		for i, b := range j.buckets {
			s.out[bucketName{b.rule.Name, b.key}] -= costOf(j, i)
		}
	}
	for _, q := range s.blocked {
		if len(q.jobs) > 0 && !q.until.After(now) {
			s.serve(now, q)
		}
	}
	for _, q := range s.blocked {
		if len(q.jobs) > 0 {
			s.alarm(q.until)
		}
	}
	if at, ok := s.arrivals.next(); ok {
		s.alarm(instant(at))
	}
}
