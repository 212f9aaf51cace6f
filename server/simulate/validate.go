package simulate

// Validate reports what the API cannot enforce, as an [*Error].
func (a *API) Validate() error { return nil }

// Validate reports what is wrong with the scenario, as an [*Error].
func (s *Scenario) Validate() error { return nil }
