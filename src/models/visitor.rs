//! Who is asking: what a request brought along.

use std::fmt;

/// What the request at hand brought along in its cookies. The store decides by it whose browser is asking, and an
/// application cannot mix the tokens up, because each has its name here.
///
/// All that is given comes from *this* request, never from what was kept with a link or a state: whoever made somebody
/// else follow a link is not the visitor.
///
/// ```
/// use authkv::models::Visitor;
///
/// let session_cookie = Some("the token of a cookie");
/// let from = Visitor { session: session_cookie, ..Visitor::default() };
/// # let _ = from;
/// ```
#[derive(Clone, Copy, Default)]
pub struct Visitor<'a> {
    /// The token of the session, if the browser sent one. It need not be valid.
    pub session: Option<&'a str>,
    /// The handle that [`issue_code`](crate::AuthKv::issue_code) answered, if the browser sent one. Guesses at codes count
    /// against it.
    pub request: Option<&'a str>,
}

/// Shows what there is, and no token.
impl fmt::Debug for Visitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("session", &self.session.is_some())
            .field("request", &self.request.is_some())
            .finish()
    }
}
