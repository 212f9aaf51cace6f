package bolt

import "google.golang.org/protobuf/encoding/protowire"

// The fields of a value. A number is never given a new meaning; what a later
// version adds must be such that earlier ones can do without it.

func appendInt(b []byte, n protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, n, protowire.VarintType)
	return protowire.AppendVarint(b, protowire.EncodeZigZag(v))
}

func appendText(b []byte, n protowire.Number, text string) []byte {
	if text == "" {
		return b
	}
	return appendItem(b, n, text)
}

// appendItem appends a text of a list, even an empty one.
func appendItem(b []byte, n protowire.Number, text string) []byte {
	b = protowire.AppendTag(b, n, protowire.BytesType)
	return protowire.AppendString(b, text)
}

// field is one field of a payload: a number or a text.
type field struct {
	number protowire.Number
	value  int64
	text   string
}

// eachField calls do with the fields of a payload, but for those of kinds that
// this version does not write.
func eachField(payload []byte, do func(field)) error {
	for len(payload) > 0 {
		number, kind, n := protowire.ConsumeTag(payload)
		if n < 0 {
			return corrupt(protowire.ParseError(n).Error())
		}
		payload = payload[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(payload)
			f.value = protowire.DecodeZigZag(v)
		case protowire.BytesType:
			f.text, n = protowire.ConsumeString(payload)
		default:
			f.number = 0 // which nobody knows
			n = protowire.ConsumeFieldValue(number, kind, payload)
		}
		if n < 0 {
			return corrupt(protowire.ParseError(n).Error())
		}
		payload = payload[n:]
		do(f)
	}
	return nil
}
