package broker

import "errors"

// Errors of the use cases. Denial is not among them: it is a value. Bad input
// is a *quota.FieldError.
var (
	// ErrPermitUnknown answers a permit id that is unknown, ended, or another
	// caller's: the three are not told apart.
	ErrPermitUnknown = errors.New("no such permit: it is unknown, has ended, or belongs to another caller")
	// ErrUnavailable says that the store is away; nothing was granted, and the
	// same call may succeed later.
	ErrUnavailable = errors.New("the quota store is away")
	// ErrClosed says that the broker is shutting down.
	ErrClosed = errors.New("the broker is shutting down")
)
