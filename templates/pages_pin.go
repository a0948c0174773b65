package templates

// CaptchaWrong is the Problem of a form whose captcha was answered wrongly; its
// Fields then hold WrongCaptcha.
const CaptchaWrong Problem = "captcha.wrong"

// Captcha is the captcha of a form: the piece "captcha" shows it, where the page
// struct has a field Captcha and a field Fields. Its field is called captcha, its
// hidden field captcha_id, its button action=another. The zero value is none.
type Captcha struct {
	ID     string
	Answer string // typed already, when another field is wrong
}

// WrongCaptcha is what is said at the field of a captcha.
func WrongCaptcha() FieldProblem { return FieldProblem{Field: "captcha", Problem: fieldWrong} }
