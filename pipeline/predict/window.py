"""A window that shows frames live."""

import numpy as np


class Window:
    """A Tk window."""

    def __init__(self, title: str):
        """Open the window; raise tkinter.TclError if there is no display."""
        import tkinter

        self.root = tkinter.Tk()
        self.root.title(title)
        self.label = tkinter.Label(self.root, borderwidth=0)
        self.label.pack()
        self.open = True
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        for key in ("q", "<Escape>"):
            self.root.bind(key, lambda event: self.close())

    def close(self) -> None:
        """Close the window at the next frame."""
        self.open = False

    def show(self, frame: np.ndarray) -> bool:
        """Show the (h, w, 3) uint8 BGR `frame`; return whether the window is still open."""
        import tkinter

        height, width = frame.shape[:2]
        content = f"P6 {width} {height} 255 ".encode() + frame[:, :, ::-1].tobytes()
        self.picture = tkinter.PhotoImage(data=content, format="PPM")  # Tk draws it later and needs the reference
        self.label.configure(image=self.picture)
        self.root.update()
        if not self.open:
            self.root.destroy()
        return self.open


def open_window(title: str) -> Window | None:
    """Return a window; if none can be opened, print the reason and return None."""
    try:
        import tkinter

        return Window(title)
    except ImportError:
        print("this Python has no tkinter: a video is written instead of opening a window")
    except tkinter.TclError as error:
        print(f"no window ({error}): a video is written instead")
    return None
